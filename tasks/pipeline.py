"""The stages in their order: what plans, budgets, gates, progress and documents are derived from."""

from collections.abc import Mapping, Sequence
from itertools import count

from kasasagi.tasks.converse.stage import CONVERSE
from kasasagi.tasks.filter.stage import FILTER
from kasasagi.tasks.format_dpo.stage import FORMAT_DPO
from kasasagi.tasks.gate.expectation import Expectation
from kasasagi.tasks.gate.gate import Gate, of_own_stage
from kasasagi.tasks.judge.stage import JUDGE
from kasasagi.tasks.load.stage import LOAD
from kasasagi.tasks.mix.stage import MIX
from kasasagi.tasks.respond.stage import RESPOND
from kasasagi.tasks.rewrite.stage import REWRITE
from kasasagi.tasks.select.stage import SELECT
from kasasagi.tasks.semantic.stage import SEMANTIC
from kasasagi.tasks.stage import Stage
from kasasagi.tasks.synthesize.stage import SYNTHESIZE
from kasasagi.tasks.tags.stage import TAGS

STAGES: tuple[Stage, ...] = (
    LOAD,
    SYNTHESIZE,
    FILTER,
    TAGS,
    SEMANTIC,
    SELECT,
    REWRITE,
    CONVERSE,
    RESPOND,
    JUDGE,
    FORMAT_DPO,
    MIX,
)


def ranks(stages: Sequence[Stage] = STAGES) -> Mapping[str, int]:
    """Return the rank of each stage's calls: later stages outrank earlier ones, and calls of no stage, which have 0.

    Where the budget does not reach for a call of a stage, the rest of its chunk continues without it.
    """
    return dict(zip((stage.name for stage in stages), count(1)))


def gate_of(stage: str) -> Gate:
    """Return the gate of a stage by its name; of a user's own one that its replies can be read."""
    gates = {one.name: one.gate for one in STAGES if one.gate is not None}
    return gates.get(stage) or of_own_stage(stage)


def default_expectations(several_judges: bool = False, verifies: bool = False) -> tuple[Expectation, ...]:
    """Return the default expectations of all gates, stage by stage.

    Args:
        several_judges: Include the expectations for several judges.
        verifies: Include the expectations for answers that are checked without a model.
    """
    gates = [stage.gate for stage in STAGES if stage.gate is not None]
    further = [one for gate in gates for one in gate.of_several_judges] if several_judges else []
    further += [one for gate in gates for one in gate.of_checkers] if verifies else []
    return (*(one for gate in gates for one in gate.expect), *further)

"""Gates of rebuilt pairs: the same rows are checked again, and what stopped a run still stops it."""

from collections.abc import Sequence

from kasasagi.blocks.workspace.runs import Run, RunHandle
from kasasagi.tasks.asking import read_rows
from kasasagi.tasks.converse.stage import CONVERSE
from kasasagi.tasks.format_dpo.stage import FORMAT_DPO
from kasasagi.tasks.gate.approvals import apply_approvals
from kasasagi.tasks.gate.evaluation.chunks import judge_chunks
from kasasagi.tasks.gate.outcome import Outcome, keep_outcomes, raise_if_failed
from kasasagi.tasks.pipeline import STAGES
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.synthesize.stage import SYNTHESIZE

GATE = "gate"
NAMES = [stage.name for stage in STAGES]
BEFORE_DIALOGUES = NAMES[: NAMES.index(CONVERSE.name)]


def still_holds(counted: RunHandle, recipe: Recipe) -> bool:
    """Return whether a handle is no gate's, or of one whose rows other pairs do not change and that is
    still asked for.
    """
    kind, stage, *_ = *counted.handle.stage.split(), ""
    asked = {one.stage for one in recipe.expectations} - {FORMAT_DPO.name}
    return kind != GATE or stage == SYNTHESIZE.name or stage in asked


def recheck_gates(run: Run, recipe: Recipe) -> None:
    """Check every stage of a run on the whole, and all of them before the first is a reason to stop.

    A scout that failed in the run whose rows these are has failed here, too. Raises GateFailedError.
    """
    handles = run.handles()
    there = {one.handle.stage for one in handles}
    outcomes: list[Outcome] = []
    for stage in (one for one in NAMES if one in there):
        found = {"scout": _scout_outcomes(run, handles, stage), "whole": _whole_outcomes(run, handles, stage, recipe)}
        for scope, some in found.items():
            passed = apply_approvals(run.workspace, run.state().name, some) if recipe.gates.on_fail == "pause" else some
            keep_outcomes(run, stage, scope, passed)
            outcomes += passed
    if recipe.gates.on_fail != "warn":
        raise_if_failed(outcomes)


def _scout_outcomes(run: Run, handles: Sequence[RunHandle], stage: str) -> list[Outcome]:
    """Return what came of a stage's first chunk.

    That of draws is an early word on the yield, which the whole outranks.
    """
    name = f"{GATE} {stage} scout"
    shards = [one.handle.shards["gates"] for one in handles if one.handle.stage == name]
    rows = [row for shard in shards for row in read_rows(run, shard)]
    return [Outcome.model_validate(row) for row in rows] if stage != SYNTHESIZE.name else []


def _whole_outcomes(run: Run, handles: Sequence[RunHandle], stage: str, recipe: Recipe) -> list[Outcome]:
    """Return the outcomes of a stage on the rows that the run itself had judged.

    A stage before the dialogues sees the prompts as they were before they grew, and people's verdicts are no judge's.
    """
    if not any(one.stage == stage and one.scope in ("whole", "both") for one in recipe.expectations):
        return []
    seen = BEFORE_DIALOGUES if stage in BEFORE_DIALOGUES else NAMES
    chunks = [one for one in handles if one.handle.stage in seen]
    return judge_chunks(run, chunks, stage, "whole", recipe.expectations)

"""Judges a stage on some chunks of a run; nothing is read where the same shards were judged before."""

from collections.abc import Sequence
from pathlib import Path

from kasasagi.blocks.workspace.runs import Run, RunHandle
from kasasagi.tasks.gate.evaluation.audits import judge_audits
from kasasagi.tasks.gate.evaluation.evaluate import judge_stage
from kasasagi.tasks.gate.evaluation.known_outcomes import GateScope, Judge, KnownOutcomes, shards_key
from kasasagi.tasks.gate.expectation import Expectation
from kasasagi.tasks.gate.outcome import Outcome
from kasasagi.tasks.tables.run_tables import tables_of


def judge_chunks(
    run: Run,
    handles: Sequence[RunHandle],
    stage: str,
    scope: GateScope,
    expectations: Sequence[Expectation],
    judge: Judge,
) -> list[Outcome]:
    """Return the outcome of every expectation on a stage at this scope, audits included.

    Args:
        run: The run.
        handles: Its chunks that are judged: the first one of each stage, or all.
        stage: The stage.
        scope: Whether the chunks are the first ones or all.
        expectations: The recipe's expectations, on this stage and on others.
        judge: Evaluates the library's own expectations on rows that were not judged before.
    """
    known = KnownOutcomes(run.workspace.gate_outcomes_folder)
    key = shards_key(handles, stage, scope, expectations)
    if key is not None and (found := known.find(key)) is not None:
        return [found[number] for number in sorted(found)]
    with tables_of(run, handles) as tables:
        outcomes = judge_stage(tables, stage, scope, expectations, Path(run.state().base), known.over(judge))
        outcomes += judge_audits(tables, run, stage, scope, expectations)
    if key is not None and outcomes:
        known.keep(key, dict(enumerate(outcomes)))
    return outcomes

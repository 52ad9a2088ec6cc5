"""Judges a stage on some chunks of a run; nothing is read where the same shards were judged before."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from kasasagi.blocks.workspace.runs import Run, RunHandle
from kasasagi.tasks.gate.evaluation.audits import judge_audits
from kasasagi.tasks.gate.evaluation.evaluate import judge_stage, judge_together
from kasasagi.tasks.gate.evaluation.gate_process import GateProcess
from kasasagi.tasks.gate.evaluation.known_outcomes import GateScope, KnownOutcomes, shards_key
from kasasagi.tasks.gate.expectation import Expectation
from kasasagi.tasks.gate.outcome import Outcome
from kasasagi.tasks.tables.run_tables import tables_of


def judge_chunks(
    run: Run,
    handles: Sequence[RunHandle],
    stage: str,
    scope: GateScope,
    expectations: Sequence[Expectation],
    process: GateProcess | None = None,
) -> list[Outcome]:
    """Return the outcome of every expectation on a stage at this scope, audits included.

    Args:
        run: The run.
        handles: Its chunks that are judged: the first one of each stage, or all.
        stage: The stage.
        scope: Whether the chunks are the first ones or all.
        expectations: The recipe's expectations, on this stage and on others.
        process: Evaluates the library's own expectations on rows that were not judged before; None means this process.
    """
    known = KnownOutcomes(run.workspace.gate_outcomes_folder)
    judge = partial(_judge, process, run, handles)
    if (key := shards_key(handles, stage, scope, expectations)) is None:
        with tables_of(run, handles) as tables:
            judged = known.over(tables, judge)
            outcomes = judge_stage(tables, stage, scope, expectations, Path(run.state().base), judged)
            return outcomes + judge_audits(tables, run, stage, scope, expectations)
    here = dict(enumerate(one for one in expectations if one.stage == stage and one.scope in (scope, "both")))
    if not here:
        return []
    if (found := known.find(key)) is None:
        found = judge(scope, here)
        known.keep(key, found)
    return [found[number] for number in sorted(found)]


def _judge(
    process: GateProcess | None,
    run: Run,
    handles: Sequence[RunHandle],
    scope: GateScope,
    expectations: Mapping[int, Expectation],
) -> dict[int, Outcome]:
    """Return the outcomes of the library's expectations on one stage, from the process where that can judge."""
    if process is not None and (found := process.outcomes(run, handles, scope, expectations)) is not None:
        return found
    with tables_of(run, handles) as tables:
        return judge_together(tables, scope, expectations)

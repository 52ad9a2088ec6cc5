"""What can be done with a run's rows without a call: other pairs, another place or form of publishing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from blocks.run_tables import open_tables
from blocks.workspace import Run, RunHandle, Workspace
from flows.errors import KasasagiError, UsageError
from flows.recipe import Recipe, check_recipe, override
from flows.rejudge import STAGE as AUDIT
from flows.verdicts import STAGE as HUMAN
from flows.verdicts import human_handle, human_rows, with_verdicts
from tasks.asking import ChunkJob
from tasks.format_dpo import STAGE, format_chunk
from tasks.gate.approvals import let_pass
from tasks.gate.config import GatesConfig
from tasks.gate.judge import judge_stage
from tasks.gate.outcome import keep_outcomes, raise_if_failed
from tasks.publish import Release, release
from tasks.reports import STAGE as REPORT
from tasks.student import token_counter

MADE_ANEW = (STAGE, REPORT, HUMAN, AUDIT)


def recipe_of(run: Run, overrides: Sequence[str], allowed: str) -> Recipe:
    """The recipe of a run with changes to one part of it. Raises UsageError where another part is changed."""
    for text in overrides:
        if not text.startswith(f"{allowed}."):
            raise UsageError(f"--set {text!r}: this command changes {allowed} alone; run the recipe again for the rest")
    return check_recipe(override(run.recipe(), overrides), Path(run.state().base))


def pair_again(
    workspace: Workspace,
    name: str | None,
    overrides: Sequence[str],
    verdicts: Sequence[Mapping[str, Any]] | None = None,
) -> Run:
    """A new run with the rows of an earlier one and pairs made anew; no call is made. Raises GateFailedError.

    verdicts are ratings by people, in place of those that the earlier run has.
    """
    from flows.execution import ended_state, new_run_id

    workspace.prepare()
    old = workspace.run(name)
    recipe = recipe_of(old, overrides, "pairs")
    new = Run.begin(workspace, new_run_id(recipe.name), recipe.name, recipe.plain(), Path(old.state().base))
    with ended_state(new):
        limits = recipe.pairs.max_tokens
        counter = None if limits is None else token_counter(limits, Path(old.state().base))
        people = human_rows(old) if verdicts is None else verdicts
        jobs = _jobs(old, new, recipe, people)
        if people:
            new.add(human_handle(new, people), reused=False)
        for counted in old.handles():
            if counted.handle.stage not in MADE_ANEW and not counted.handle.stage.startswith("gate "):
                new.add(counted.handle, reused=True)
        for job in jobs:
            new.add(format_chunk(new, recipe.pairs, recipe.judging, job, counter), reused=False)
        _judge(new, recipe.gates)
    return new


def _jobs(old: Run, new: Run, recipe: Recipe, people: Sequence[Mapping[str, Any]]) -> list[ChunkJob]:
    """The jobs that make the pairs anew: from rated responses, or from responses alone where nobody judges."""
    stage, what = ("judge", "ratings") if recipe.judging else ("respond", "responses")
    jobs = [_job(new, counted, people) for counted in old.handles() if counted.handle.stage == stage]
    if not jobs:
        raise KasasagiError(f"the run {old.id} has no {what} to make pairs from; run its recipe again first")
    return jobs


def _job(run: Run, judged: RunHandle, people: Sequence[Mapping[str, Any]]) -> ChunkJob:
    """The job that makes the pairs of one judged or answered chunk."""
    handle = judged.handle
    taken = ("responses", "ratings", "claims")
    inputs = {**handle.inputs, **{name: shard for name, shard in handle.shards.items() if name in taken}}
    inputs = with_verdicts(run, inputs, people)
    return ChunkJob(stage=STAGE, chunk=handle.chunk, run=run.id, inputs=inputs, cache_key="")


def _judge(run: Run, gates: GatesConfig) -> None:
    with open_tables(run) as connection:
        outcomes = judge_stage(connection, STAGE, "whole", gates.all())
    if gates.on_fail == "pause":
        outcomes = let_pass(run.workspace, run.state().name, outcomes)
    keep_outcomes(run, STAGE, "whole", outcomes)
    if gates.on_fail != "warn":
        raise_if_failed(outcomes)


def publish_again(workspace: Workspace, name: str | None, overrides: Sequence[str], partial: bool) -> Release:
    """Publish a run's pairs. Raises KasasagiError for a run that a gate stopped or that did not end, unless partial.

    A run that failed at nothing but publishing is done once it is published.
    """
    run = workspace.run(name)
    state = run.state()
    ready = state.status == "done" or (state.publishable and state.status != "running")
    if not ready and not partial:
        why = f" ({state.error})" if state.error else ""
        raise KasasagiError(
            f"the run {run.id} is {state.status}{why}, so it is not published: run its recipe again, "
            "or publish what there is with --partial"
        )
    recipe = recipe_of(run, overrides, "publish")
    if not recipe.publish.wanted:
        raise UsageError("the recipe names neither publish.path nor publish.hub; name a folder with --path")
    with open_tables(run) as connection:
        released = release(recipe.publish, run, connection, partial=partial)
    if ready and state.status != "done":
        run.save(run.state().model_copy(update={"status": "done", "exit_code": 0, "error": None}))
    return released

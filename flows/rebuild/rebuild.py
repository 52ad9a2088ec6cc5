"""Rebuild a run's pairs, or publish them in another place or form, without a call."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kasasagi.blocks.hints import command
from kasasagi.blocks.workspace.runs import Run, RunHandle, Workspace, new_run_id
from kasasagi.flows.check.destinations import destination_problems
from kasasagi.flows.errors import KasasagiError, UsageError
from kasasagi.flows.rebuild.gates import recheck_gates, still_holds
from kasasagi.flows.rebuild.human_ratings import STAGE as HUMAN
from kasasagi.flows.rebuild.human_ratings import apply_human_ratings, human_handle, human_rows
from kasasagi.flows.rebuild.label_audit import STAGE as AUDIT
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import LoadedRecipe, check_recipe, override
from kasasagi.flows.reporting.run_state import ended_state
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.format_dpo.pairs import format_chunk
from kasasagi.tasks.format_dpo.second_pass import remakes
from kasasagi.tasks.format_dpo.stage import FORMAT_DPO
from kasasagi.tasks.format_dpo.target import PairsMade
from kasasagi.tasks.publish import Release, release
from kasasagi.tasks.recipe import Recipe
from kasasagi.tasks.reports import STAGE as REPORT
from kasasagi.tasks.tables.run_tables import open_tables, prompts_to_answer, stage_making
from kasasagi.tasks.token_counts import token_counter

_COMMANDS = {"pairs": ("dataset", "pair"), "publish": ("dataset", "publish")}
"""The commands that change one part of a recipe without calls; a run changes the others."""
REBUILT = (FORMAT_DPO.name, REPORT, HUMAN, AUDIT)


def recipe_of(run: Run, overrides: Sequence[str], allowed: str) -> Recipe:
    """Return the recipe of a run with changes to one part of it.

    Raises:
        UsageError: If another part is changed.
    """
    for text in overrides:
        if not text.startswith(f"{allowed}."):
            raise UsageError(f"--set {text!r}: {_elsewhere(text.partition('=')[0], allowed)}")
    return check_recipe(override(run.recipe(), overrides), Path(run.state().base))


def _elsewhere(key: str, allowed: str) -> str:
    """Return that a key is not one of the part that may change, and how to set it."""
    if key.partition(".")[0] in type(Recipe.model_fields[allowed].default).model_fields:
        return f"{key} is a key of {allowed}; write {allowed}.{key}"
    other = command(*_COMMANDS.get(key.partition(".")[0], ("run",)))
    return f"{key} is not a key of {allowed}; set it with {other}"


def rebuild_pairs(
    workspace: Workspace,
    name: str | None,
    overrides: Sequence[str],
    verdicts: Sequence[Mapping[str, Any]] | None = None,
) -> Run:
    """Return a new run with the rows of an earlier one and rebuilt pairs; no call is made.

    verdicts are ratings by people, in place of those that the earlier run has. Every gate checks its rows again. Raises
    GateFailedError, and KasasagiError where the earlier run did not get through all its prompts; the pairs of the
    others are in the new run, which has failed, then.
    """
    workspace.prepare()
    old = workspace.run(name)
    recipe = recipe_of(old, overrides, "pairs")
    if recipe.mixes:
        raise UsageError(
            f"the run {old.id} mixes pairs of other runs and makes none: pair one of those again, then mix its new run"
        )
    if not recipe.pairing:
        raise UsageError(
            f"the run {old.id} makes no pairs, since its recipe has no judge: add judge to the recipe and run it "
            "again, or name the stronger model by --set pairs.strategy=strong_vs_weak, pairs.strong and pairs.weak"
        )
    new = Run.begin(workspace, new_run_id(recipe.name), recipe.name, recipe.plain(), Path(old.state().base))
    with ended_state(new):
        handles = old.handles()
        people = human_rows(old) if verdicts is None else verdicts
        jobs = _jobs(old, handles, new, recipe, people)
        _copy_handles(handles, new, recipe, people)
        _make_pairs(new, recipe, jobs)
        recheck_gates(new, recipe)
        _raise_if_some_are_missing(old, new, prompts_to_answer(handles), jobs)
    return new


def _jobs(
    old: Run, handles: Sequence[RunHandle], new: Run, recipe: Recipe, people: Sequence[Mapping[str, Any]]
) -> list[ChunkJob]:
    """Return the jobs that rebuild the pairs: from rated responses, or from responses alone where there is no judge."""
    answered = stage_making("responses", handles) or "respond"
    stage, what = ("judge", "ratings") if recipe.judging else (answered, "responses")
    jobs = [_job(new, counted, people) for counted in handles if counted.handle.stage == stage]
    if not jobs:
        raise KasasagiError(f"the run {old.id} has no {what} to make pairs from; run its recipe again first")
    return jobs


def _copy_handles(handles: Sequence[RunHandle], new: Run, recipe: Recipe, people: Sequence[Mapping[str, Any]]) -> None:
    """Count in a new run what an earlier one did before its pairs, and what people say."""
    for counted in handles:
        if counted.handle.stage not in REBUILT and still_holds(counted, recipe):
            new.add(counted.handle, reused=True)
    if people:
        new.add(human_handle(new, people), reused=False)


def _make_pairs(run: Run, recipe: Recipe, jobs: Sequence[ChunkJob]) -> None:
    limits, base = recipe.pairs.max_tokens, Path(run.state().base)
    counter = None if limits is None else token_counter(limits, base)

    def make(job: ChunkJob) -> None:
        run.add(format_chunk(run, recipe.pairs, recipe.judging, job, counter, base), reused=False)

    for job in jobs:
        make(job)
    by_chunk = {job.chunk: job for job in jobs}
    for one in remakes(run, recipe):
        make(by_chunk[one.chunk].model_copy(update={"inputs": one.inputs, "params": one.params}))


def _raise_if_some_are_missing(old: Run, new: Run, prompts: int, jobs: Sequence[ChunkJob]) -> None:
    """Raise KasasagiError if the earlier run did not reach pairs with all its prompts."""
    reached = sum(job.inputs["prompts"].rows for job in jobs)
    target = old.recipe().get("pairs", {}).get("target")
    if reached >= prompts or (
        target is not None and (old.state().has_dataset or sum(PairsMade.of(old).pairs) >= target)
    ):
        return
    runs_on = old.state().status == "running"
    raise KasasagiError(
        f"the run {old.id} {'is still active' if runs_on else 'did not get to its end'}, so {new.id} has the pairs of "
        f"{reached:,} of its {prompts:,} prompts: "
        f"{'make them again when it has ended' if runs_on else 'run its recipe again for all of them'}, "
        "or publish these with --partial"
    )


def shortage_of_pairs(run: Run) -> str | None:
    """Return in a sentence that a run has fewer pairs than its recipe wants; None where there are enough."""
    why = "answered prompts are used; run the recipe for more"
    return PairsMade.of(run).shortage(run.recipe().get("pairs", {}).get("target"), why)


def _job(run: Run, judged: RunHandle, people: Sequence[Mapping[str, Any]]) -> ChunkJob:
    """Return the job that makes the pairs of one judged or answered chunk."""
    handle = judged.handle
    taken = ("responses", "ratings", "claims")
    inputs = {**handle.inputs, **{name: shard for name, shard in handle.shards.items() if name in taken}}
    inputs = apply_human_ratings(run, inputs, people)
    return ChunkJob(stage=FORMAT_DPO.name, chunk=handle.chunk, run=run.id, inputs=inputs, cache_key="")


def republish(workspace: Workspace, name: str | None, overrides: Sequence[str], partial: bool) -> Release:
    """Publish a run's pairs.

    A run that failed at nothing but publishing is done once it is published.

    Raises:
        UsageError: If a place cannot be published to; nothing was started then.
        KasasagiError: For a run that a gate stopped or that did not end, unless partial.
    """
    run = workspace.run(name)
    state = run.state()
    ready = state.status == "done" or state.has_dataset
    if not ready and not partial:
        why = f" ({state.error})" if state.error else ""
        raise KasasagiError(
            f"the run {run.id} is {state.status}{why}, so it is not published: run its recipe again, "
            "or publish what there is with --partial"
        )
    recipe = recipe_of(run, overrides, "publish")
    if not recipe.publish.wanted:
        raise UsageError("the recipe names neither publish.path nor publish.hub; name a folder with --path")
    loaded = LoadedRecipe(recipe=recipe, base=Path(state.base))
    if problems := destination_problems(loaded, workspace, run.id, state.started):
        raise RecipeError("\n".join(problems))
    with open_tables(run) as connection:
        released = release(recipe.publish, run, connection, partial=partial)
    if ready and state.status != "done":
        run.save(run.state().model_copy(update={"status": "done", "exit_code": 0, "error": None}))
    return released

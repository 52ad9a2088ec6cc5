"""One run from its first row to its last: the stages in their order, and a clean end whatever happens."""

import asyncio
import gc
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from prefect.exceptions import TerminationSignal

from blocks.budget import BudgetSpentError
from blocks.claims import Claims
from blocks.dispatcher import Dispatcher, StoppedError
from blocks.engines import engines_for, identity_of
from blocks.run_tables import build_database, open_tables
from blocks.shards import Shard
from blocks.workspace import Run
from flows.artifacts import ProgressArtifacts, tell
from flows.check import destination_faults
from flows.chunks import most_chunks, prompt_chunks
from flows.cluster import dispatching
from flows.conductor import Conductor, finished
from flows.conversing import conversed
from flows.events import announce
from flows.inventing import Inventor
from flows.jobs import Stages
from flows.options import Options
from flows.plan import plan_answers
from flows.recipe import LoadedRecipe
from flows.recipe_errors import RecipeError
from flows.refinement import refinement_of
from flows.rejudge import keep_audit
from flows.spending import tell_plans
from tasks import synthesize
from tasks.asking import Session
from tasks.gate.judge import warm_up_beside
from tasks.gate.outcome import GateFailedError
from tasks.prefect_tasks import GATES, PUBLISH, WORK, publish_task
from tasks.publish import release
from tasks.reports import keep_reports
from tasks.synthesize import MagpieSource

DRAIN_SECONDS = 60.0
SWITCH_SECONDS = 0.001
EXIT_GATE = 3


def new_run_id(name: str) -> str:
    """An id that sorts by time and tells the recipe."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{plain}-{secrets.token_hex(2)}"


async def execute(loaded: LoadedRecipe, options: Options) -> Run:
    """Run a recipe; must be called in a flow.

    Whatever happens, what was paid for is kept, the tables are built, and the run's state says how it ended. Raises
    GateFailedError, ModelUnusableError, LedgerError and whatever else a stage raises.
    """
    options.workspace.prepare()
    if options.publish and (faults := destination_faults(loaded.recipe)):
        raise RecipeError("\n".join(faults))
    warm_up_beside()
    recipe = loaded.recipe
    name, plain = new_run_id(recipe.name), recipe.plain()
    run = Run.begin(options.workspace, name, recipe.name, plain, loaded.base, options.limit)
    try:
        with ended_state(run), _session(loaded, run, options) as session:
            async with ProgressArtifacts(recipe.name, options.progress, session.dispatcher):
                await _stages(Stages(session, recipe, loaded.base, options.limit), options)
    finally:
        await tell(run)
        announce(run)
    return run


@contextmanager
def _session(loaded: LoadedRecipe, run: Run, options: Options) -> Iterator[Session]:
    """The session of a run; its end stops what is in flight, after waiting for what is paid for already."""
    models = loaded.recipe.models
    engines = engines_for(models, options.workspace.folder / "vllm", loaded.base)
    identities = {label: identity_of(model, engines, label) for label, model in models.items()}
    run.note_models(identities.values())
    with Claims(run.workspace, run.id) as claims, dispatching(loaded, run, engines, options.said) as dispatcher:
        dispatcher.said = options.said
        options.watch(dispatcher, run)
        with _ended_cleanly(dispatcher, options):
            most = most_chunks(loaded.recipe.runtime)
            again, said = options.ask_again, options.said
            yield Session(run, models, identities, dispatcher, claims, again, said, loaded.base, most)


@contextmanager
def _ended_cleanly(dispatcher: Dispatcher, options: Options) -> Iterator[None]:
    """Close a dispatcher; one that is interrupted waits for what is paid for already."""
    try:
        yield
    except BaseException as error:
        dispatcher.stop(error if isinstance(error, Exception) else StoppedError("the run was interrupted"))
        if flying := dispatcher.in_flight():
            options.said(f"waiting for {flying} calls in flight, which are paid for; interrupt again to abandon them")
        dispatcher.close(DRAIN_SECONDS)
        raise
    else:
        dispatcher.close()


@contextmanager
def responsive() -> Iterator[None]:
    """Let the dispatcher's thread answer servers at once while chunks are worked on in other threads.

    Threads give way to each other after a millisecond instead of five, and the objects of all that was imported are
    no longer searched for garbage, which would stop every thread for tenths of a second again and again.
    """
    interval = sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.unfreeze()


@contextmanager
def ended_state(run: Run) -> Iterator[None]:
    """Write down how a run ended, and build its tables, whatever happened."""
    try:
        yield
        keep_reports(run)
        build_database(run)
    except BaseException as error:
        with suppress(Exception):  # a person must hear what went wrong first; without tables the shards are read
            keep_reports(run)
            keep_audit(run)
            build_database(run)
        with suppress(OSError):
            _end(run, *_ending(error))
        raise
    else:
        _end(run, "done", 0, None)


def _ending(error: BaseException) -> tuple[Any, int, str]:
    if isinstance(error, GateFailedError):
        return "stopped", EXIT_GATE, f"a gate failed: {error}"
    if isinstance(error, BudgetSpentError):
        return "stopped", error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt | asyncio.CancelledError | TerminationSignal):
        return "stopped", 130, "interrupted"
    return "failed", 1, str(error) or type(error).__name__


def _end(run: Run, status: Any, code: int, error: str | None) -> None:
    for registry in (WORK, GATES, PUBLISH):
        registry.pop(run.id, None)
    shutil.rmtree(run.folder / "scratch", ignore_errors=True)
    ended = {"status": status, "exit_code": code, "error": error, "ended": time.time()}
    run.save(run.state().model_copy(update=ended))


async def _stages(stages: Stages, options: Options) -> None:
    """The stages in their order."""
    run = stages.session.run
    conductor = Conductor(stages, options.progress, options.said, options.person)
    WORK[run.id] = stages.work()
    GATES[run.id] = conductor.judged
    prompts = await refinement_of(stages, conductor, options).with_rewrites(await _prompts(stages, conductor, options))
    if stages.recipe.filter.dedup.published and not prompts.rows:
        options.said("nothing is new since the last publication, so nothing is published")
        return
    source = synthesize.STAGE if isinstance(stages.recipe.source, MagpieSource) else "load"
    for stage in (source, "filter", "tags", "rewrite"):
        await conductor.gate(stage, "whole")
    prompts = await conversed(stages, conductor, options, prompts)
    if stages.recipe.answers:
        await _answers(stages, conductor, options, prompts)
    run.save(run.state().model_copy(update={"publishable": True}))
    if options.publish and stages.recipe.publish.wanted:
        options.progress.now = "publishing"
        await _publish(stages)


async def _answers(stages: Stages, conductor: Conductor, options: Options, prompts: Shard) -> None:
    """The stages from the prompts to the pairs, and their gates."""
    options.progress.now = "planning"
    chunks = await asyncio.to_thread(prompt_chunks, stages.session, prompts)
    plans = await asyncio.to_thread(plan_answers, stages, chunks)
    tell_plans(stages, plans, options.said)
    options.progress.now = "answering"
    with responsive():
        await conductor.lines(chunks)
    options.progress.now = "gates"
    for stage in ("respond", "judge", "format_dpo"):
        await conductor.gate(stage, "whole")


async def _prompts(stages: Stages, conductor: Conductor, options: Options) -> Shard:
    """The prompts that survive the filter."""
    source = stages.recipe.source
    if isinstance(source, MagpieSource):
        return await Inventor(stages, conductor, options, source).prompts()
    options.progress.now = "loading"
    options.progress.expect("load", 1)
    options.progress.expect("filter", 1)
    loaded = await conductor.do(await asyncio.to_thread(stages.load_job))
    options.progress.now = "filtering"
    filtered = await conductor.do(stages.filter_job(loaded.handle.shards["loaded"], None))
    return (await refinement_of(stages, conductor, options).selected(filtered.handle))[0]


async def _publish(stages: Stages) -> None:
    """Bring the dataset to where the recipe says, now that every gate has let it pass."""
    run, recipe = stages.session.run, stages.recipe

    def work() -> dict[str, Any]:
        with open_tables(run) as connection:
            return release(recipe.publish, run, connection).model_dump(mode="json")

    PUBLISH[run.id] = work
    await finished(publish_task.submit(run.id))

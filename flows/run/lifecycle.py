"""One run from its first row to its last: opened with all it needs, and ended cleanly whatever happens."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress

from kasasagi.blocks.engines.kinds import engines_for, identity_of
from kasasagi.blocks.ledger.claims import Claims
from kasasagi.blocks.workspace.runs import Run, new_run_id
from kasasagi.flows.check.before_start import problems_before_start
from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import LoadedRecipe
from kasasagi.flows.reporting.artifacts import ProgressArtifacts, create_artifacts
from kasasagi.flows.reporting.events import emit_end_event
from kasasagi.flows.reporting.introduction import introduce
from kasasagi.flows.reporting.ratings_read import ratings_read
from kasasagi.flows.reporting.run_state import ended_state
from kasasagi.flows.run.active import ActiveRun, NothingNewError
from kasasagi.flows.run.cluster import dispatching
from kasasagi.flows.run.options import Options
from kasasagi.tasks.asking import Session
from kasasagi.tasks.context import Context, activate
from kasasagi.tasks.gate.evaluation.gate_process import GateProcess
from kasasagi.tasks.pipeline import ranks
from kasasagi.tasks.stage_tasks import tasks_of


@asynccontextmanager
async def active_run(loaded: LoadedRecipe, options: Options, limit: int | None) -> AsyncIterator[ActiveRun]:
    """Open a run of a recipe, on so many rows of its source at most; must be used in a flow.

    Whatever happens in it, what was paid for is kept, the tables are built, and the run's state says how it ended.

    Raises:
        RecipeError: If the recipe has faults that show before a model is asked.
    """
    options.workspace.prepare()
    recipe = loaded.recipe
    name, plain = new_run_id(recipe.name), recipe.plain()
    if problems := await asyncio.to_thread(problems_before_start, loaded, options.workspace, name, options.publish):
        raise RecipeError("\n".join(problems))
    run = Run.begin(options.workspace, name, recipe.name, plain, loaded.base, limit)
    run.save(run.state().model_copy(update={"preview": not options.publish}))
    await introduce(run, loaded)
    async with _report_end(run, options), AsyncExitStack() as at_the_end:
        gates = options.gate_process or GateProcess()
        with ended_state(run), gates as judging, session_of(loaded, run, options) as session:
            judging.begin_where_all_is_new(options.workspace)
            session.dispatcher.on_first_question = judging.begin
            context = Context(session, recipe, loaded.base, limit, judging)
            async with ProgressArtifacts(recipe.name, options.progress, session.dispatcher, options.reports):
                with activate(context), suppress(NothingNewError):
                    _ = context.counter  # a missing tokenizer fails here, before anything is paid for
                    if recipe.answers and not recipe.pairing:
                        options.log("no judge is named and no pairs are made: the responses are the dataset")
                    active = ActiveRun(context, options)
                    at_the_end.push_async_callback(_settle, active, options)
                    yield active


async def _settle(run: ActiveRun, options: Options) -> None:
    """Wait for the task runs of a run that has ended, so that none of them is left working, while there is time."""
    with suppress(TimeoutError):
        await options.reports.within(run.settle())


@asynccontextmanager
async def _report_end(run: Run, options: Options) -> AsyncIterator[None]:
    """Report to Prefect how a run ended, and to waiting code what it produced."""
    failed: BaseException | None = None
    try:
        yield
    except BaseException as error:
        failed = error
        raise
    finally:
        for line in ratings_read(run):
            options.log(line)
        await create_artifacts(run, options.reports)
        emit_end_event(run)
        options.reports.close(run.id, failed)


@contextmanager
def session_of(loaded: LoadedRecipe, run: Run, options: Options) -> Iterator[Session]:
    """The session of a run; its end stops what is in flight, after waiting for what is paid for already."""
    engines = engines_for(loaded.recipe.models, options.workspace.folder / "vllm", loaded.base)
    with Claims(run.workspace, run.id) as claims, dispatching(loaded, run, engines, options.log) as dispatcher:
        models = loaded.recipe.models
        identities = {label: identity_of(model, engines, label) for label, model in models.items()}
        ranked = ranks([task.stage for task in tasks_of(loaded.recipe, loaded.base)])
        session = Session(
            run, models, identities, dispatcher, claims, options.ask_again, options.log, loaded.base, ranked
        )
        run.record_models(identities.values())
        dispatcher.log = options.log
        options.watch(dispatcher, run)
        with dispatcher.ended_cleanly():
            yield session

"""`kasasagi plan`: the stages that cost nothing are done, the ones that cost are counted."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from blocks.dispatcher import Dispatcher
from blocks.engines import engines_for, identity_of
from blocks.shards import Handle
from blocks.workspace import Run, Workspace
from flows.chunks import prompt_chunks
from flows.execution import new_run_id
from flows.jobs import Stages
from flows.plan import StagePlan, guess_answers, plan_answers, plan_synthesize
from flows.recipe import LoadedRecipe
from tasks import synthesize
from tasks.asking import Session
from tasks.synthesize import MagpieSource, limited


def plan_recipe(
    loaded: LoadedRecipe, workspace: Workspace, limit: int | None, ask_again: frozenset[str]
) -> list[StagePlan]:
    """What a run of the recipe would ask, without asking anything; leaves no run behind."""
    workspace.prepare()
    run = Run(workspace, new_run_id(f"plan-{loaded.recipe.name}"))
    run.folder.mkdir(parents=True)
    try:
        with _silent_session(loaded, run, ask_again) as session:
            return _plans(Stages(session, loaded.recipe, loaded.base, limit))
    finally:
        shutil.rmtree(run.folder, ignore_errors=True)


@contextmanager
def _silent_session(loaded: LoadedRecipe, run: Run, ask_again: frozenset[str]) -> Iterator[Session]:
    models = loaded.recipe.models
    engines = engines_for(models)
    identities = {label: identity_of(model, engines, label) for label, model in models.items()}
    dispatcher = Dispatcher(models, engines, run.workspace.ledger_folder)
    try:
        yield Session(run, models, identities, dispatcher, ask_again, base=loaded.base)
    finally:
        dispatcher.close()


def _plans(stages: Stages) -> list[StagePlan]:
    source = stages.recipe.source
    if isinstance(source, MagpieSource):
        return _magpie_plans(stages, limited(source, stages.limit))
    work = stages.work()
    loaded = Handle.model_validate(work["load"](stages.load_job()))
    filtered = Handle.model_validate(work["filter"](stages.filter_job(loaded.shards["loaded"], None)))
    return list(plan_answers(stages, prompt_chunks(stages.session, filtered.shards["prompts"])))


def _magpie_plans(stages: Stages, source: MagpieSource) -> list[StagePlan]:
    """Draws as far as the ledger has them, filtered for real; what comes after is foreseen from the target."""
    drawn = accepted = 0
    plan, prompts = StagePlan(stage=synthesize.STAGE, calls=0, known=0), None
    while (draws := synthesize.draws_wanted(source, drawn, accepted)) > drawn:
        plan = plan_synthesize(stages, draws)
        if plan.to_pay:
            return [plan, *guess_answers(stages, source.target or source.samples or 0)]
        filtered = _filtered(stages, source, draws)
        prompts, accepted, drawn = filtered.shards["prompts"], filtered.account.rows_out, draws
    return [plan, *(plan_answers(stages, prompt_chunks(stages.session, prompts)) if prompts else ())]


def _filtered(stages: Stages, source: MagpieSource, draws: int) -> Handle:
    """Known draws, filtered."""
    work = stages.synthesize_work(draws)
    chunks = range(-(-draws // synthesize.DRAWS_IN_A_CHUNK))
    handles = [Handle.model_validate(work(stages.synthesize_job(chunk, draws))) for chunk in chunks]
    shards = [handle.shards["draws"] for handle in handles if "draws" in handle.shards]
    loaded = synthesize.prompts_from_draws(stages.session, source, shards)
    return Handle.model_validate(stages.work()["filter"](stages.filter_job(loaded, source.target)))

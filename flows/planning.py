"""`kasasagi plan`: the stages that cost nothing are done, the ones that cost are counted."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from blocks.claims import Claims
from blocks.dispatcher import Dispatcher
from blocks.engines import engines_for, identity_of
from blocks.shards import Handle, Shard
from blocks.workspace import Run, Workspace
from flows.chunks import most_chunks, prompt_chunks
from flows.conversing import earlier_tokens, guess_onward, plan_turns
from flows.execution import new_run_id
from flows.jobs import Stages
from flows.plan import StagePlan, guess_answers, guess_refinement, plan_answers, plan_synthesize
from flows.recipe import LoadedRecipe
from flows.refinement import Refinement
from tasks import synthesize
from tasks.asking import ChunkJob, Session
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
    models, most = loaded.recipe.models, most_chunks(loaded.recipe.runtime)
    engines = engines_for(models, base=loaded.base)
    identities = {label: identity_of(model, engines, label) for label, model in models.items()}
    dispatcher = Dispatcher(models, engines, run.workspace.ledger_folder)
    dispatcher.stop(_ToPayError("a plan asks nobody"))
    try:
        claims = Claims(run.workspace, run.id)
        yield Session(run, models, identities, dispatcher, claims, ask_again, base=loaded.base, most_chunks=most)
    finally:
        dispatcher.close()


def _plans(stages: Stages) -> list[StagePlan]:
    source = stages.recipe.source
    if isinstance(source, MagpieSource):
        return _magpie_plans(stages, limited(source, stages.limit))
    work = stages.work()
    loaded = Handle.model_validate(work["load"](stages.load_job()))
    stages.session.run.add(loaded, reused=False)
    filtered = Handle.model_validate(work["filter"](stages.filter_job(loaded.shards["loaded"], None)))
    plans, prompts = _refined(stages, filtered, rewriting=True)
    return [*plans, *_answers(stages, prompts, filtered.account.rows_out)]


def _magpie_plans(stages: Stages, source: MagpieSource) -> list[StagePlan]:
    """Draws as far as the ledger has them, filtered for real; what comes after is foreseen from the target."""
    drawn = accepted = 0
    plan, prompts, filtered = StagePlan(stage=synthesize.STAGE, calls=0, known=0), None, None
    while (draws := synthesize.draws_wanted(source, drawn, accepted)) > drawn:
        plan = plan_synthesize(stages, draws)
        if plan.to_pay:
            wanted = source.target or source.samples or 0
            return [plan, *guess_refinement(stages, wanted, ()), *_answers(stages, None, wanted)]
        filtered = _filtered(stages, source, draws)
        plans, prompts = _refined(stages, filtered, rewriting=False)
        if prompts is None:
            return [plan, *plans, *_answers(stages, None, source.target or source.samples or 0)]
        accepted, drawn = prompts.rows, draws
    if prompts is None or filtered is None:
        return [plan]
    plans, prompts = _refined(stages, filtered, rewriting=True)
    return [plan, *plans, *_answers(stages, prompts, accepted)]


def _answers(stages: Stages, prompts: Shard | None, most: int) -> list[StagePlan]:
    """What further turns, respond and judge will ask, for prompts that are known, or for so many that are not."""
    if (plan := stages.dialogues) is not None:
        if prompts is None:
            return guess_onward(stages, most)
        turns = plan_turns(stages, plan, prompt_chunks(stages.session, prompts, leave_out=False))
        return [turns, *guess_answers(stages, prompts.rows, earlier_tokens(plan))]
    if prompts is not None:
        return plan_answers(stages, prompt_chunks(stages.session, prompts))
    rewriting = stages.recipe.rewrite
    return guess_answers(stages, most * (1 + (len(rewriting.methods) if rewriting else 0)))


class _ToPayError(Exception):
    """A stage has calls to pay for, so that nobody knows what it leaves."""


def _refined(stages: Stages, filtered: Handle, rewriting: bool) -> tuple[list[StagePlan], Shard | None]:
    """What the stages behind the filter will ask, as far as it is known, and the prompts that they leave, if it is."""
    work = stages.work()
    plans: dict[str, StagePlan] = {}

    def planned(plan: StagePlan) -> None:
        plans[plan.stage] = plan if plan.stage not in plans else plans[plan.stage].plus(plan)
        if plan.to_pay:
            raise _ToPayError

    async def do(job: ChunkJob) -> Handle:
        return Handle.model_validate(work[job.stage](job))

    async def refined() -> Shard:
        refinement = Refinement(stages, do, planned)
        prompts, _ = await refinement.selected(filtered)
        return await refinement.with_rewrites(prompts) if rewriting else prompts

    try:
        prompts = asyncio.run(refined())
    except _ToPayError:
        for plan in guess_refinement(stages, filtered.account.rows_out, plans):
            plans[plan.stage] = plans[plan.stage].plus(plan) if plan.stage in plans else plan
        return list(plans.values()), None
    return list(plans.values()), prompts


def _filtered(stages: Stages, source: MagpieSource, draws: int) -> Handle:
    """Known draws, filtered."""
    work = stages.synthesize_work(draws)
    chunks = range(-(-draws // synthesize.DRAWS_IN_A_CHUNK))
    handles = [Handle.model_validate(work(stages.synthesize_job(chunk, draws))) for chunk in chunks]
    shards = [handle.shards["draws"] for handle in handles if "draws" in handle.shards]
    loaded = synthesize.prompts_from_draws(stages.session, source, shards)
    return Handle.model_validate(stages.work()["filter"](stages.filter_job(loaded, source.target)))

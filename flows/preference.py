"""The main job as a Prefect flow: source, filter, respond, judge, pair, publish."""

from functools import partial
from typing import Annotated

from prefect import State, flow
from pydantic import Field

from kasasagi.flows.recipe.errors import RecipeError
from kasasagi.flows.recipe.loading import load_recipe
from kasasagi.flows.run.calling import RUNNER, fail_with_message, open_run, run_name
from kasasagi.flows.run.driver import Driver, Rows
from kasasagi.tasks.converse.task import converse
from kasasagi.tasks.filter.task import filter_prompts
from kasasagi.tasks.format_dpo.task import format_dpo
from kasasagi.tasks.judge.task import judge
from kasasagi.tasks.load.task import load
from kasasagi.tasks.respond.task import respond
from kasasagi.tasks.rewrite.task import rewrite
from kasasagi.tasks.select.task import select
from kasasagi.tasks.semantic.task import semantic
from kasasagi.tasks.synthesize.task import synthesize
from kasasagi.tasks.tags.task import tags


@flow(name="preference", flow_run_name=run_name, task_runner=RUNNER, persist_result=False)
@fail_with_message
async def preference(
    recipe: str = "quickstart",
    overrides: list[str] = [],  # noqa: B006 - Prefect's form shows a plain list only for a list; nobody changes it
    rows: Annotated[int, Field(ge=0)] = 0,
    workspace: str = "",
    new_only: bool = False,
) -> State[str]:
    """Make a preference dataset from a recipe. Running it again redoes only what is missing.

    Args:
        recipe: A recipe's file, or the name of one that ships with kasasagi.
        overrides: Changes to the recipe, each like judge.orders=both.
        rows: Read only that many rows of the source; 0 reads all.
        workspace: Folder of the ledger and the runs, or block:NAME of one that is saved in Prefect; empty means
            KASASAGI_WORKSPACE, else ./workspace.
        new_only: Publish only what no earlier run of the recipe published, as a version of its own.
    """
    if (loaded := load_recipe(recipe, overrides)).recipe.mixes:
        raise RecipeError(f"the recipe {loaded.recipe.name} mixes finished runs: run it by the flow mix")
    async with open_run(loaded, rows=rows, workspace=workspace, new_only=new_only) as run:
        await make_pairs(run, await make_prompts(run))
        await run.publish()
    return run.final_state()


async def make_prompts(run: Driver) -> Rows:
    """source → filter → tags → semantic → select → rewrite → converse; what the recipe leaves out passes rows on."""
    if run.recipe.source.kind == "magpie":
        prompts = await run.until_target(synthesize, partial(choose, run))
    else:
        prompts = await choose(run, await run.source(load))
    if run.recipe.rewrite is not None:
        rewritten = (await run.run_chunks(rewrite, prompts)).as_rewrites(prompts)
        prompts = await run.with_rewrites(await choose(run, rewritten), prompts)
    run.end_if_nothing_is_new(prompts)
    await run.gates(load, synthesize, filter_prompts, tags, semantic, rewrite)
    prompts = await run.run_chunks(converse, prompts)
    for own in run.own(after="prompts"):
        prompts = await run.run_chunks(own, prompts)
    await run.gates(converse, *run.own(after="prompts"))
    return prompts


async def choose(run: Driver, rows: Rows) -> Rows:
    """filter → tags → semantic → select; the last joins what the others made of the filtered prompts."""
    filtered = await run.whole(filter_prompts, rows)
    labelled = await run.run_chunks(tags, filtered)
    compared = await run.run_chunks(semantic, labelled)
    return await run.whole(select, filtered, labelled, compared)


async def make_pairs(run: Driver, prompts: Rows) -> None:
    """respond → judge → format_dpo, by chunks: stages overlap, each opens on its scout; or waves until pairs.target."""
    stages = [respond, *run.own(after="respond"), judge, format_dpo]
    async for wave in run.waves(prompts, more=partial(make_prompts, run)):
        await run.run_chunks(stages, wave)
    await run.gates(*stages)

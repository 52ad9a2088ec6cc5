"""The task that reads the dataset."""

import time
from typing import Any

from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.context import Context
from kasasagi.tasks.load import DatasetSource, load_prompts, load_provided, source_digest
from kasasagi.tasks.load.files.locate import locate
from kasasagi.tasks.load.stage import LOAD
from kasasagi.tasks.mix.collect import collect
from kasasagi.tasks.mix.config import RunsSource
from kasasagi.tasks.stage_task import Chunking, stage_task


def source_of(context: Context) -> DatasetSource:
    """Return the dataset that the recipe names."""
    source = context.recipe.source
    if not isinstance(source, DatasetSource):
        raise TypeError(f"the source is {source.kind}, not a dataset")
    return source


def key_parts(context: Context, job: ChunkJob) -> list[Any]:
    """Return what decides which rows are loaded: the configuration, the files' content and the limit."""
    if isinstance(context.recipe.source, RunsSource):
        return [context.recipe.source.keyed()]
    source = source_of(context)
    config = source.keyed({"turns"})
    goes_on = [source.turns.count] if source.last_answer == "keep" and source.turns else []
    return [config, source_digest(source, context.base), context.limit, *goes_on]


@stage_task(LOAD, Chunking(key_parts, makes=("loaded",)))
def load(context: Context, job: ChunkJob) -> Handle:
    """Read the source's rows, and the responses that it holds where they are not asked for."""
    if isinstance(context.recipe.source, RunsSource):
        return collect(context, context.recipe.source, job)
    started, into = time.monotonic(), context.scratch(job)
    source, recipe = source_of(context), context.recipe
    if note := locate(source, context.base).note:
        context.session.log(f"source.path {source.path}: {note}")
    result = load_prompts(source, context.base, into, context.limit)
    if not (recipe.responses_provided or recipe.chooses_source):
        return context.adopted(job, result, "loaded", time.monotonic() - started)
    responses = load_provided(source, context.base, into, context.limit)
    shard = context.session.run.workspace.shards.adopt(responses)
    handle = context.adopted(job, result, "loaded", time.monotonic() - started)
    return handle.model_copy(update={"shards": {**handle.shards, "given": shard}})

"""The task that selects among filtered prompts, by their labels, their neighbours and quotas."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.context import Context
from kasasagi.tasks.filter.stage import REWRITES
from kasasagi.tasks.select.job import Selection, select_prompts
from kasasagi.tasks.select.stage import SELECT
from kasasagi.tasks.stage_task import Chunking, stage_task
from kasasagi.tasks.tags.config import TagsConfig
from kasasagi.tasks.tags.labels import SCALES


def selection(context: Context, part: int) -> Selection:
    """Return what a part is selected by: rewrites have no quotas, and are not compared, being like their origins."""
    if part == REWRITES:
        return Selection()
    compared = context.recipe.semantic
    return Selection(
        quotas=context.recipe.select,
        where=context.where[2],
        compared=compared is not None,
        duplicates=compared.duplicates if compared else None,
        scales=scales_of(context.recipe.tags),
        most=context.target,
    )


def scales_of(tagging: TagsConfig | None) -> dict[str, Sequence[str]]:
    """Return the order of the labels of each column of tags that has one."""
    return {f"{tagging.prefix}{kind}": SCALES[kind] for kind in tagging.kinds if kind in SCALES} if tagging else {}


def key_parts(context: Context, job: ChunkJob) -> list[Any]:
    """Return what decides which prompts are selected."""
    chosen = selection(context, job.chunk)
    quotas = chosen.quotas.keyed() if chosen.quotas else None
    scales = {name: list(scale) for name, scale in chosen.scales.items()}
    return [[quotas, list(chosen.where.items()), chosen.compared, chosen.duplicates, scales, context.target]]


@stage_task(SELECT, Chunking(key_parts, makes=("prompts",)))
def select(context: Context, job: ChunkJob) -> Handle:
    """Join labels and neighbours to the prompts, and keep those that meet the conditions and quotas."""
    started, into = time.monotonic(), context.scratch(job)
    chosen, prompts = selection(context, job.chunk), context.path(job.inputs["prompts"])
    result = select_prompts(chosen, prompts, _paths(context, job, "tags"), _paths(context, job, "vectors"), into)
    return context.adopted(job, result, "prompts", time.monotonic() - started)


def _paths(context: Context, job: ChunkJob, kind: str) -> list[Path]:
    return [context.path(shard) for name, shard in sorted(job.inputs.items()) if name.startswith(f"{kind} ")]

"""The task that makes pairs."""

from typing import Any

from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.context import Context
from kasasagi.tasks.format_dpo.pairs import format_chunk
from kasasagi.tasks.format_dpo.refusals import classifier_digests
from kasasagi.tasks.format_dpo.stage import FORMAT_DPO
from kasasagi.tasks.pairing.named import STRATEGIES
from kasasagi.tasks.stage_task import Chunking, stage_task

UNKEYED = {"sampling", "language", "repairs", "round", "prompt"}
"""Keys of the judge that do not change which pairs are made of its ratings."""


def key_parts(context: Context, job: ChunkJob) -> list[Any]:
    """Return what decides the pairs: their configuration, the judges' marks, and who counts the student's tokens."""
    judging = context.recipe.judging
    marks = judging.keyed(UNKEYED) if judging else None
    student = [context.counter.digest] if context.counter else []
    own = STRATEGIES.key_parts([context.recipe.pairs.strategy], context.base)
    safety = [["refusals", *classifier_digests()]] if context.recipe.pairs.safety else []
    most = [["most", job.params["most"]]] if "most" in job.params else []
    where = [["where", *context.recipe.pairs.where.items()]] if context.recipe.pairs.where else []
    return [context.recipe.pairs.keyed({"target"}), marks, *student, *own, *safety, *most, *where]


@stage_task(FORMAT_DPO, Chunking(key_parts, makes=("pairs",)))
def format_dpo(context: Context, job: ChunkJob) -> Handle:
    """Make the pairs of one chunk of rated responses."""
    recipe = context.recipe
    return format_chunk(context.session.run, recipe.pairs, recipe.judging, job, context.counter, context.base)

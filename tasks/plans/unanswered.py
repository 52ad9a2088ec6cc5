"""Prompts of which a plan does not know all answers, and which later stages therefore cannot see."""

from collections.abc import Mapping

import orjson

from kasasagi.blocks.tables import quoted
from kasasagi.blocks.workspace.shards import Handle, Shard
from kasasagi.tasks.asking import NOT_ASKED, read_rows
from kasasagi.tasks.context import Context


def without_unanswered(
    context: Context, handle: Handle, inputs: Mapping[str, Shard]
) -> tuple[Mapping[str, Shard], int]:
    """Return a chunk's tables without the prompts that lack an answer, and how many they are.

    Args:
        context: The plan's context.
        handle: The result of the stage that asked last.
        inputs: The tables of the chunk behind that stage.
    """
    rows = read_rows(context.session.run, handle.shards.get("quarantine"), ["reason", "payload"])
    unanswered = {orjson.loads(row["payload"])["prompt_id"] for row in rows if row["reason"] == NOT_ASKED}
    if not unanswered:
        return inputs, 0
    names = ", ".join(f"'{name}'" for name in sorted(unanswered))
    left = {
        table: context.written(
            f"SELECT * FROM read_parquet({quoted(context.path(shard))}) WHERE prompt_id NOT IN ({names})"
        )
        for table, shard in inputs.items()
        if table in ("prompts", "responses")
    }
    return {**inputs, **left}, len(unanswered)

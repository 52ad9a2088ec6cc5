"""Ratings by people among a run's tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from kasasagi.blocks.workspace.runs import Run
from kasasagi.blocks.workspace.shards import Account, Handle, Shard
from kasasagi.tasks.asking import read_rows
from kasasagi.tasks.tables import table

STAGE = "human"


def human_rows(run: Run) -> list[dict[str, Any]]:
    """Return the ratings that people gave to a run's responses."""
    shards = [counted.handle.shards for counted in run.handles() if counted.handle.stage == STAGE]
    return [row for some in shards for row in read_rows(run, some.get("ratings"))]


def human_handle(run: Run, rows: Sequence[Mapping[str, Any]]) -> Handle:
    """Adds people's ratings to a run's tables."""
    shard = run.workspace.shards.write(table("ratings", [dict(row) for row in rows]))
    return Handle(
        stage=STAGE, run=run.id, shards={"ratings": shard}, account=Account(rows_in=shard.rows, rows_out=shard.rows)
    )


def apply_human_ratings(run: Run, inputs: Mapping[str, Shard], rows: Sequence[Mapping[str, Any]]) -> dict[str, Shard]:
    """Return the inputs of a chunk's pairs, with people's ratings of its responses among the judge's."""
    here = {row["response_id"] for row in read_rows(run, inputs.get("responses"), ["response_id"])}
    ours = [dict(row) for row in rows if row["response_id"] in here]
    if not ours:
        return dict(inputs)
    both = [*read_rows(run, inputs.get("ratings")), *ours]
    return {**inputs, "ratings": run.workspace.shards.write(table("ratings", both))}

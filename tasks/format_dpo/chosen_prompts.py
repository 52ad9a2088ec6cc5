"""Which prompts become pairs, by what their responses showed: conditions on each prompt, and quotas over all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from kasasagi.blocks.tables import quoted
from kasasagi.blocks.workspace.runs import SCRATCH, Run
from kasasagi.blocks.workspace.shards import Shard
from kasasagi.tasks.asking import ChunkJob, read_rows
from kasasagi.tasks.filter.sql import SqlSandbox
from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.format_dpo.response_columns import RESPONSE_COLUMNS, response_columns
from kasasagi.tasks.format_dpo.target import PairsMade
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.load.staging import scratch_folder
from kasasagi.tasks.pairing import Candidate
from kasasagi.tasks.select.job import Selection, select_prompts
from kasasagi.tasks.tables.run_tables import tables_of, with_more_memory

SHOWN = "shown"
"""A chunk's prompts that meet the conditions, with the columns that their responses showed."""
LEFT_OUT = "left_out"
"""The prompts of a chunk that are beyond a quota, with the detail of each."""


@dataclass(frozen=True, slots=True)
class PromptChoice:
    """Which prompts of a chunk become pairs.

    Attributes:
        columns: What the responses to each prompt showed, by prompt_id.
        rejected: The reason and detail of each prompt that is left out, by prompt_id.
        shown: The prompts that meet the conditions, with their columns, where quotas follow.
    """

    columns: Mapping[str, Mapping[str, float | None]]
    rejected: Mapping[str, tuple[str, str]]
    shown: Mapping[str, pa.Table]

    @classmethod
    def of(
        cls,
        run: Run,
        config: PairsConfig,
        judge: JudgeConfig | None,
        job: ChunkJob,
        rated: Mapping[str, Sequence[Candidate]],
    ) -> "PromptChoice":
        """Return the choice among the prompts of a chunk, all of them where the configuration chooses none.

        Args:
            run: The run.
            config: How pairs are made.
            judge: Who judged.
            job: The chunk.
            rated: The responses by prompt_id.
        """
        if not config.chooses_prompts:
            return cls({}, {}, {})
        prompts = run.workspace.shards.read(job.inputs["prompts"])
        names = prompts["prompt_id"].to_pylist()
        columns = {name: response_columns(config, judge, rated.get(name, ())) for name in names}
        for field in RESPONSE_COLUMNS:
            prompts = prompts.append_column(field, pa.array([columns[name][field.name] for name in names], field.type))
        broken = dict(zip(names, _broken_conditions(config.where, prompts), strict=True))
        rejected = {name: found for name, found in broken.items() if found is not None}
        meets = pa.array([name not in rejected for name in names], pa.bool_())
        shown = prompts.filter(meets).select(["prompt_id", *(field.name for field in RESPONSE_COLUMNS)])
        beyond = read_rows(run, job.inputs.get(LEFT_OUT))
        rejected |= {row["prompt_id"]: ("quota", row["detail"]) for row in beyond}
        return cls(columns, rejected, {SHOWN: shown} if config.select is not None else {})


def _broken_conditions(where: Mapping[str, str], prompts: pa.Table) -> list[tuple[str, str] | None]:
    """Return for each prompt the reason and detail of the first condition that it does not meet."""
    if not where or not prompts.num_rows:
        return [None] * prompts.num_rows
    [batch] = prompts.combine_chunks().to_batches()
    with SqlSandbox() as sandbox:
        return sandbox.first_broken(where, batch)


def left_out_by_chunk(run: Run, config: PairsConfig, scales: Mapping[str, Sequence[str]]) -> dict[int, Shard]:
    """Return the prompts beyond a quota for each chunk of pairs that has any.

    Args:
        run: The run, which has chunks of pairs of all its prompts, made without regard to quotas.
        config: How pairs are made.
        scales: The order of the labels of columns that have one.
    """
    shown = {one.chunk: one.shards[SHOWN] for one in PairsMade.of(run).chunks if SHOWN in one.shards}
    if config.select is None or not shown:
        return {}
    beyond = _beyond_quota(run, Selection(config.select, scales=scales), list(shown.values()))
    by_chunk: dict[int, Shard] = {}
    for chunk, shard in shown.items():
        names = run.workspace.shards.read(shard, ["prompt_id"])["prompt_id"].to_pylist()
        left_out = [{"prompt_id": name, "detail": beyond[name]} for name in names if name in beyond]
        if left_out:
            by_chunk[chunk] = run.workspace.shards.write(pa.Table.from_pylist(left_out))
    return by_chunk


def _beyond_quota(run: Run, selection: Selection, shown: Sequence[Shard]) -> dict[str, str]:
    """Return the detail of each prompt beyond its quota, by prompt_id."""
    files = ", ".join(quoted(run.workspace.shards.path(shard)) for shard in shown)
    query = f"SELECT * FROM prompts JOIN read_parquet([{files}]) USING (prompt_id) ORDER BY position, prompt_id"
    with scratch_folder(run.folder / SCRATCH) as folder:
        joined = folder / "shown.parquet"
        with tables_of(run, run.handles()) as connection:
            with_more_memory(connection, lambda: connection.sql(query).write_parquet(str(joined), compression="zstd"))
        result = select_prompts(selection, joined, (), (), folder)
        rows = pq.read_table(result.quarantine, columns=["row_id", "detail"]).to_pylist()
    return {row["row_id"]: row["detail"] for row in rows}

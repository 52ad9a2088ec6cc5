"""Shards: Parquet files that are named by their content, written whole or not at all."""

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from kasasagi.blocks.canonical import digest_file
from kasasagi.blocks.models.kinds import Config


class Shard(Config):
    """One Parquet file of a workspace: its digest, which is its name, and its rows."""

    digest: str = Field(description="blake2b-128 of the file.")
    rows: int = Field(description="Rows in the file.")


class Account(Config):
    """What one stage, or one chunk of it, took in, gave out, quarantined and paid for."""

    rows_in: int = Field(0, description="Rows that were asked for.")
    rows_out: int = Field(0, description="Rows that came out.")
    quarantined: int = Field(0, description="Rows that were quarantined.")
    calls_paid: int = Field(0, description="Calls that were sent in this run.")
    calls_reused: int = Field(0, description="Calls whose answers were in the ledger.")
    prompt_tokens: int = Field(0, description="Prompt tokens that were paid for in this run.")
    completion_tokens: int = Field(0, description="Completion tokens that were paid for in this run.")
    cost_usd: float = Field(0.0, description="Dollars that were paid in this run.")
    seconds: float = Field(0.0, description="Seconds that the work took.")

    def without_costs(self) -> "Account":
        """Return the same account in a later run, which pays for nothing."""
        free = {"calls_paid": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost_usd": 0.0, "seconds": 0.0}
        return self.model_copy(update={"calls_reused": self.calls_paid + self.calls_reused, **free})


class Handle(Config):
    """The result of a chunk: its shards by table, its account, and whether all its calls were answered.

    The handle is written last, so if it exists, the shards are complete.
    """

    stage: str = Field(description="The stage that made it.")
    chunk: int = Field(0, description="The chunk's number within the stage.")
    run: str = Field(description="The run that made it.")
    complete: bool = Field(True, description="False if a call failed temporarily: the chunk is repeated.")
    inputs: dict[str, Shard] = Field({}, description="The shards that it was made from, by table.")
    shards: dict[str, Shard] = Field(description="Shards by table.")
    account: Account = Field(description="The chunk's account in the run that made it.")


class ShardStore:
    """The shards of a workspace, shared by all its runs; or further ones, above those of another store."""

    def __init__(self, folder: Path, below: "ShardStore | None" = None) -> None:
        self.folder = folder
        self._below = below
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, shard: Shard | str) -> Path:
        """Return where a shard lies."""
        name = shard if isinstance(shard, str) else shard.digest
        here = self._own_path(name)
        return here if self._below is None or here.exists() else self._below.path(shard)

    def _own_path(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}.parquet"

    def write(self, table: pa.Table | Iterable[pa.RecordBatch], schema: pa.Schema | None = None) -> Shard:
        """Keep a table, or batches of one schema, as a shard; equal content gives the same shard."""
        batches = table.to_batches(max_chunksize=50_000) if isinstance(table, pa.Table) else table
        handle, name = tempfile.mkstemp(dir=self.folder, prefix="writing-", suffix=".parquet")
        os.close(handle)
        rows = 0
        try:
            with pq.ParquetWriter(
                name, table.schema if isinstance(table, pa.Table) else schema, compression="zstd"
            ) as file:
                for batch in batches:
                    file.write_batch(batch)
                    rows += batch.num_rows
            return self.adopt(Path(name), rows)
        finally:
            Path(name).unlink(missing_ok=True)

    def adopt(self, file: Path, rows: int | None = None) -> Shard:
        """Take a Parquet file that is whole into the store."""
        count = pq.read_metadata(file).num_rows if rows is None else rows
        shard = Shard(digest=digest_file(file), rows=count)
        target = self._own_path(shard.digest)
        target.parent.mkdir(exist_ok=True)
        with file.open("rb") as data:
            os.fsync(data.fileno())
        os.replace(file, target)
        return shard

    def read(self, shard: Shard, columns: list[str] | None = None) -> pa.Table:
        """Return a shard's rows."""
        return pq.read_table(self.path(shard), columns=columns)

    def contains_all(self, shards: Mapping[str, Shard]) -> bool:
        """Return whether all these shards are there and have the content that their names promise."""
        return all(
            self.path(shard).exists() and digest_file(self.path(shard)) == shard.digest for shard in shards.values()
        )

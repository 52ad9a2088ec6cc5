"""Chunks: the prompts of a run in ranges of id prefixes, so that one more row changes one chunk."""

import duckdb
import pyarrow.parquet as pq

from kasasagi.blocks.tables import quoted
from kasasagi.blocks.workspace.runs import SCRATCH, Run
from kasasagi.blocks.workspace.shards import Shard

ROWS_IN_A_CHUNK = 128
MOST_CHUNKS = 256
DIGITS, BITS = 3, 12
FEW_BITS = 8
ABOUT_THE_DRAW = ("position", "source", "finish_reason", "stop_reason")


def prompt_chunks(run: Run, prompts: Shard, most: int = MOST_CHUNKS, leave_out: bool = True) -> list[Shard]:
    """Return the prompts as chunks by ranges of id prefixes, each a shard of its own; one more row changes one chunk.

    The number of chunks is a power of two that grows with the rows, from 1 to the most that is wanted. What
    tells where a prompt is from is left out, unless leave_out is False: it changes without changing what is asked.
    """
    bits = chunk_bits(prompts.rows, most)
    store = run.workspace.shards
    path = store.path(prompts)
    columns = [name for name in pq.read_schema(path).names if not (leave_out and name in ABOUT_THE_DRAW)]
    names = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
    shards = []
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET memory_limit = '512MB'")
        connection.execute(f"SET temp_directory = {quoted(run.folder / SCRATCH)}")
        connection.execute(
            f"CREATE TEMP TABLE sorted AS SELECT {names}, "
            f"('0x' || prompt_id[1:{DIGITS}])::INTEGER >> {BITS - bits} AS chunk FROM read_parquet({quoted(path)})"
            + (" ORDER BY chunk" if bits > FEW_BITS else "")  # then a chunk is found without looking through all rows
        )
        for chunk in range(2**bits):
            rows = connection.sql(f"SELECT {names} FROM sorted WHERE chunk = {chunk} ORDER BY prompt_id")
            table = rows.to_arrow_table()
            if table.num_rows:
                shards.append(store.write(table))
    return shards


def chunk_bits(rows: int, most: int = MOST_CHUNKS) -> int:
    """Return how many leading bits of an id tell its chunk: about 128 rows a chunk, and no more chunks than most."""
    bits = 0
    while 2**bits < most and rows / 2**bits > ROWS_IN_A_CHUNK * 1.5:
        bits += 1
    return bits

"""Chunks: the prompts of a run in ranges of id prefixes, so that one more row changes one chunk."""

from collections.abc import Iterable

import duckdb
import pyarrow.parquet as pq

from kasasagi.blocks.tables import quoted
from kasasagi.blocks.workspace.runs import SCRATCH, Run
from kasasagi.blocks.workspace.shards import Shard

ROWS_IN_A_CHUNK = 128
MOST_CHUNKS = 256
DIGITS, BITS = 3, 12
FEW_BITS = 8
NUMBER = '"staged:number"'
"""A column of no source: its name is not one that a file of prompts has."""
ABOUT_THE_DRAW = ("position", "source", "finish_reason", "stop_reason")


def prompt_chunks(run: Run, prompts: Shard, most: int = MOST_CHUNKS, leave_out: bool = True) -> list[Shard]:
    """Return the prompts as chunks by ranges of id prefixes, each a shard of its own; one more row changes one chunk.

    The number of chunks is a power of two that grows with the rows, from 1 to the most that is wanted. What
    tells where a prompt is from is left out, unless leave_out is False: it changes without changing what is asked.
    """
    bits = chunk_bits(prompts.rows, most)
    number = f"('0x' || prompt_id[1:{DIGITS}])::INTEGER >> {BITS - bits}"
    order = f"ORDER BY {NUMBER}" if bits > FEW_BITS else ""  # then a chunk is found without looking through all rows
    wanted = (f"{NUMBER} = {chunk} ORDER BY prompt_id" for chunk in range(2**bits))
    return _parts(run, prompts, leave_out, (number, order), wanted)


def prompt_blocks(run: Run, prompts: Shard, places: Iterable[range], leave_out: bool = True) -> list[Shard]:
    """Return the prompts at some ranges of places in the order of their positions, each range a shard of its own.

    Args:
        run: The run.
        prompts: The prompts.
        places: The ranges, each of which has prompts.
        leave_out: Whether what tells where a prompt is from is left out.
    """
    wanted = (f"{NUMBER} > {some.start} AND {NUMBER} <= {some.stop} ORDER BY {NUMBER}" for some in places)
    return _parts(run, prompts, leave_out, ("row_number() OVER (ORDER BY position, prompt_id)", ""), wanted)


def _parts(run: Run, prompts: Shard, leave_out: bool, numbered: tuple[str, str], wanted: Iterable[str]) -> list[Shard]:
    """Return the prompts that meet each condition on their number as a shard, where there are any.

    Args:
        run: The run.
        prompts: The prompts.
        leave_out: Whether what tells where a prompt is from is left out.
        numbered: SQL for the number of a prompt, and for the order in which prompts are laid down.
        wanted: The conditions, each with the order of its prompts.
    """
    store = run.workspace.shards
    path = store.path(prompts)
    columns = [name for name in pq.read_schema(path).names if not (leave_out and name in ABOUT_THE_DRAW)]
    names = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
    number, order = numbered
    source = f"read_parquet({quoted(path)}) {order}"
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET memory_limit = '512MB'")
        connection.execute(f"SET temp_directory = {quoted(run.folder / SCRATCH)}")
        connection.execute(f"CREATE TEMP TABLE numbered AS SELECT {names}, {number} AS {NUMBER} FROM {source}")
        tables = (connection.sql(f"SELECT {names} FROM numbered WHERE {one}").to_arrow_table() for one in wanted)
        return [store.write(table) for table in tables if table.num_rows]


def chunk_bits(rows: int, most: int = MOST_CHUNKS) -> int:
    """Return how many leading bits of an id tell its chunk: about 128 rows a chunk, and no more chunks than most."""
    bits = 0
    while 2**bits < most and rows / 2**bits > ROWS_IN_A_CHUNK * 1.5:
        bits += 1
    return bits

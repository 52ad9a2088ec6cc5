"""Collects the prompts of a mix: those of all parts that have a pair, in the order in which they may survive."""

import time
from collections.abc import Iterable
from pathlib import Path

from kasasagi.blocks.tables import PROMPTS, quoted
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.tasks.asking import ChunkJob
from kasasagi.tasks.context import Context
from kasasagi.tasks.mix.config import MixError, RunsSource
from kasasagi.tasks.mix.parts import PartRun, columns_of, kept_columns, part_runs
from kasasagi.tasks.tables.run_tables import identifier, with_more_memory

OWN = [name for name in PROMPTS.names if name != "position"]


def collect(context: Context, source: RunsSource, job: ChunkJob) -> Handle:
    """Return the prompts of all parts as one table.

    The order is by priority, then by a digest of seed, part and prompt: it does not depend on the order in which a
    recipe names the parts, and further prompts do not change the order of those that are there.
    """
    started, into = time.monotonic(), context.scratch(job)
    parts = part_runs(source, context.session.run.workspace, context.base)
    kinds = columns_kept(parts)
    files = [_write_prompts(part, source.seed, into) for part in parts]
    columns = ", ".join(identifier(name) for name in (*OWN, *kinds, "part", "part_run"))
    place = "row_number() OVER (ORDER BY mix_priority DESC, mix_draw, prompt_id) - 1 AS position"
    named = ", ".join(map(quoted, files))
    query = f"SELECT {columns}, {place} FROM read_parquet([{named}], union_by_name = true) ORDER BY position"
    shard = context.written(query)
    account = Account(rows_in=shard.rows, rows_out=shard.rows, seconds=time.monotonic() - started)
    return Handle(stage=job.stage, chunk=job.chunk, run=job.run, shards={"loaded": shard}, account=account)


def columns_kept(parts: Iterable[PartRun]) -> dict[str, tuple[str, str]]:
    """Return the type of each column that prompts keep, with a part that has it.

    Raises:
        MixError: A column has one type in a part and another in another one, or a name that a mix gives itself.
    """
    kinds = dict[str, tuple[str, str]]()
    for part in parts:
        with part.tables() as connection:
            _add_kinds(kinds, kept_columns(part, connection), part.name)
    return kinds


def _write_prompts(part: PartRun, seed: int, into: Path) -> Path:
    """Write the prompts of a part that have a pair to a file."""
    file = into / f"{part.name}.parquet"
    with part.tables() as connection:
        kept = kept_columns(part, connection)
        there = columns_of(connection, "prompts")
        own = [identifier(name) if name in there else f"NULL::VARCHAR AS {name}" for name in OWN]
        names = ", ".join([*own, *map(identifier, kept)])
        query = (
            f"SELECT {names}, '{part.name}' AS part, '{part.run.id}' AS part_run, "
            f"{part.part.priority} AS mix_priority, md5('{seed} {part.name} ' || prompt_id) AS mix_draw FROM prompts "
            "WHERE prompt_id IN (SELECT prompt_id FROM pairs)"
        )
        copy = f"COPY ({query}) TO {quoted(file)} (FORMAT parquet)"
        with_more_memory(connection, lambda: connection.execute(copy))
    return file


def _add_kinds(kinds: dict[str, tuple[str, str]], kept: dict[str, str], part: str) -> None:
    """Add the columns of a part to those of the others. Raises MixError where one has another type or case there."""
    cases = {name.casefold(): name for name in kinds}
    for name, kind in kept.items():
        if (same := cases.get(name.casefold(), name)) != name:
            raise MixError(
                f"source.parts.{part}: the column {name!r} is called {same!r} in the part {kinds[same][1]}, and tables "
                "do not tell capital letters from small ones; give it one name in the sources, and run one of the "
                "recipes again"
            )
        known, other = kinds.setdefault(name, (kind, part))
        if known != kind:
            raise MixError(
                f"source.parts.{part}: the column {name!r} is {kind}, and in the part {other} it is {known}; give it "
                "one type in the sources, or another name, and run one of the recipes again"
            )

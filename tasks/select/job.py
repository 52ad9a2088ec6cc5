"""The selection itself: tags and vectors are joined to the prompts, then conditions, likeness and quotas are asked."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kasasagi.blocks.tables import quoted
from kasasagi.tasks.filter.config import FilterResult
from kasasagi.tasks.filter.job import payloads, staged
from kasasagi.tasks.filter.sql import SqlSandbox
from kasasagi.tasks.load.staging import META, Style, batches, bounded_duckdb, parquet_writer, scratch_folder, settle
from kasasagi.tasks.select.config import SelectConfig
from kasasagi.tasks.select.stage import SELECT
from kasasagi.tasks.semantic.config import COLUMNS, DISTANCE, NEIGHBOR
from kasasagi.tasks.semantic.neighbors import Neighbors, neighbors

Outcome = list[tuple[str, str] | None]


@dataclass(frozen=True)
class Selection:
    """What is selected by: quotas, conditions on the columns that are known now, likeness, and how many at most."""

    quotas: SelectConfig | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    compared: bool = False
    duplicates: float | None = None
    scales: Mapping[str, Sequence[str]] = field(default_factory=dict)
    most: int | None = None


def select_prompts(
    selection: Selection, prompts: Path, tags: Sequence[Path], vectors: Sequence[Path], into: Path
) -> FilterResult:
    """Write the prompts that pass, and the others with the reason why not, by position.

    tags and vectors are the tables of the earlier stages; a prompt that one of them does not have was quarantined there
    and is not counted here. Without tags no tags are joined; vectors are asked for where `compared` says so.
    """
    with scratch_folder(into) as folder:
        joined, first, second = (folder / f"{name}.parquet" for name in ("joined", "first", "second"))
        _join(prompts, tags, vectors if selection.compared else (), joined, folder)
        rows = pq.read_metadata(joined).num_rows
        found = _find_neighbors(selection, joined, vectors, folder) if selection.compared else None
        schema = _stage(selection, joined, found, first)
        _stage_selected(first, second, schema, {**_over_quota(selection, first, folder)}, selection.most)
        style = Style(SELECT.name, "", lambda batch: batch.select(schema.names), payloads)
        kept, quarantined = settle(second, into, schema, style)
    return FilterResult(rows, kept, quarantined, into / "prompts.parquet", into / "quarantine.parquet")


def _join(prompts: Path, tags: Sequence[Path], vectors: Sequence[Path], joined: Path, folder: Path) -> None:
    """The prompts that have tags, and vectors if these are asked for, with the tags as columns, by position."""
    source = f"SELECT * FROM read_parquet({quoted(prompts)})"
    if tags:
        source = f"SELECT * FROM ({source}) JOIN (SELECT DISTINCT * FROM {_files(tags)}) USING (prompt_id)"
    if vectors:
        source = f"SELECT * FROM ({source}) WHERE prompt_id IN (SELECT prompt_id FROM {_files(vectors)})"
    with bounded_duckdb(folder) as connection:
        ordered = connection.sql(f"SELECT * FROM ({source}) ORDER BY position, prompt_id")
        ordered.write_parquet(str(joined), compression="zstd")


def _files(paths: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(map(quoted, paths))}])"


def _find_neighbors(selection: Selection, joined: Path, vectors: Sequence[Path], folder: Path) -> Neighbors:
    """Return the neighbours of the prompts; their vectors lie in a file, in the order of the rows."""
    rows = pq.read_metadata(joined).num_rows
    query = (
        f"SELECT vector FROM read_parquet({quoted(joined)}) JOIN (SELECT prompt_id, any_value(vector) AS vector "
        f"FROM {_files(vectors)} GROUP BY prompt_id) USING (prompt_id) ORDER BY position, prompt_id"
    )
    matrix: Any = np.empty((0, 0), np.float32)
    with bounded_duckdb(folder) as connection:
        at = 0
        for batch in connection.sql(query).to_arrow_reader(8192) if rows and vectors else ():
            part = _matrix(batch.column(0).to_pylist(), matrix.shape[1])
            if not at:
                matrix = np.memmap(folder / "vectors", np.float32, "w+", shape=(rows, part.shape[1]))
            matrix[at : at + len(part)] = part
            at += len(part)
    return neighbors(matrix, selection.duplicates)


def _matrix(vectors: Sequence[bytes], dimensions: int) -> Any:
    """Return some vectors as rows.

    Raises:
        ValueError: If their lengths differ, as they do where models were mixed.
    """
    sizes = sorted({len(vector) // 4 for vector in vectors} | ({dimensions} if dimensions else set()))
    if len(sizes) > 1:
        raise ValueError(
            f"the vectors have {' and '.join(map(str, sizes))} dimensions, so they cannot be compared: "
            "give the embedding model another identity, so that it is asked again"
        )
    return np.frombuffer(b"".join(vectors), "<f4").reshape(len(vectors), -1)


def _stage(selection: Selection, joined: Path, found: Neighbors | None, scratch: Path) -> pa.Schema:
    """Write every row with the columns of its neighbour and with the first reason that speaks against it."""
    schema = pq.read_schema(joined).remove_metadata()
    ids = pq.read_table(joined, columns=["prompt_id"]).column(0) if found is not None else None
    if found is not None:
        schema = pa.schema([*schema, pa.field(DISTANCE, pa.float64()), pa.field(NEIGHBOR, pa.string())])
    start = 0
    with SqlSandbox() as room, parquet_writer(scratch, pa.schema([*META, *schema])) as writer:
        for batch in batches(joined):
            wide = _with_neighbors(batch, found, ids, start)
            broken = room.first_broken(selection.where, wide)
            repeated = _find_duplicates(found, ids, start, batch.num_rows)
            outcome = [one or other for one, other in zip(repeated, broken, strict=True)]
            writer.write_batch(staged(wide.cast(schema), start, outcome, [None] * batch.num_rows))
            start += batch.num_rows
    return schema


def _with_neighbors(batch: pa.RecordBatch, found: Neighbors | None, ids: Any, start: int) -> pa.RecordBatch:
    """Return a batch with its columns of neighbours, if neighbours were looked for."""
    if found is None:
        return batch
    places = slice(start, start + batch.num_rows)
    nearest = [None if at < 0 else ids[int(at)].as_py() for at in found.nearest[places]]
    known = found.nearest[places] >= 0
    distances = [
        round(max(0.0, 1 - float(value)), 5) if there else None
        for value, there in zip(found.similarity[places], known, strict=True)
    ]
    for name, values, kind in zip(COLUMNS, (distances, nearest), (pa.float64(), pa.string()), strict=True):
        batch = batch.append_column(name, pa.array(values, kind))
    return batch


def _find_duplicates(found: Neighbors | None, ids: Any, start: int, count: int) -> Outcome:
    """For each of some rows which earlier one it repeats."""
    if found is None:
        return [None] * count
    outcome: Outcome = []
    for row in range(start, start + count):
        survivor = int(found.survivor[row])
        detail = f"similarity {float(found.survivor_similarity[row]):.3f} to the prompt "
        outcome.append(None if survivor < 0 else ("semantic_duplicate", f"{detail}{ids[survivor].as_py()}"))
    return outcome


def _over_quota(selection: Selection, scratch: Path, folder: Path) -> dict[int, str]:
    """Return the rows that are beyond the quota of their kind, with the detail of each."""
    quotas = selection.quotas
    if quotas is None:
        return {}
    per = ", ".join(map(_identifier, quotas.per))
    values = [f"'{_text(name)} ' || COALESCE({_identifier(name)}::VARCHAR, 'null')" for name in quotas.per]
    order = ", ".join([*(_order_sql(name, down, selection) for name, down in quotas.order), "position", '"staged:row"'])
    query = f"""
        SELECT "staged:row" AS row, kind FROM (
            SELECT "staged:row", {" || ', ' || ".join(values) or "'all'"} AS kind,
                   row_number() OVER ({f"PARTITION BY {per}" if per else ""} ORDER BY {order}) AS place
            FROM read_parquet({quoted(scratch)}) WHERE "staged:reason" IS NULL)
        WHERE place > {quotas.limit}"""
    with bounded_duckdb(folder) as connection:
        rows = connection.execute(query).fetchall()
    behind = f", by {', '.join(quotas.order_by)}" if quotas.order_by else ""
    return {row: f"{kind}: {quotas.limit:,} others come first{behind}" for row, kind in rows}


def _order_sql(name: str, down: bool, selection: Selection) -> str:
    """SQL that orders by a column: by its scale where it has one, nulls last."""
    column = _identifier(name)
    if name in selection.scales:
        labels = ", ".join(f"'{_text(label)}'" for label in selection.scales[name])
        column = f"list_position([{labels}], {column})"
    return f"{column} {'DESC' if down else 'ASC'} NULLS LAST"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(name: str) -> str:
    return name.replace("'", "''")


def _stage_selected(first: Path, second: Path, schema: pa.Schema, over: Mapping[int, str], most: int | None) -> None:
    """The same rows with those beyond a quota, or beyond the number that is wanted in all, spoken against as well."""
    left = most
    with parquet_writer(second, pa.schema([*META, *schema])) as writer:
        for batch in batches(first):
            start = batch.column("staged:row")[0].as_py() if batch.num_rows else 0
            outcome = list(_outcomes(batch, over))
            for at, broken in enumerate(outcome):
                if left is None or broken is not None:
                    continue
                if not left:
                    outcome[at] = ("surplus", f"more were accepted than the target of {most}")
                left -= bool(left)
            writer.write_batch(staged(batch.select(schema.names), start, outcome, [None] * batch.num_rows))
    os.unlink(first)


def _outcomes(batch: pa.RecordBatch, over: Mapping[int, str]) -> Iterator[tuple[str, str] | None]:
    columns = (batch.column(f"staged:{name}").to_pylist() for name in ("row", "reason", "detail"))
    for row, reason, detail in zip(*columns, strict=True):
        yield (reason, detail) if reason is not None else ("quota", over[row]) if row in over else None

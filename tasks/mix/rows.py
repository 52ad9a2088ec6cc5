"""The rows of a part that a mix takes: its pairs, and all that belongs to their prompts, as files on the way."""

from collections.abc import Mapping
from pathlib import Path

import duckdb

from kasasagi.blocks.tables import no_rows, null_column, quoted
from kasasagi.tasks.mix.parts import PartRun, columns_of
from kasasagi.tasks.tables import TABLES
from kasasagi.tasks.tables.run_tables import identifier, with_more_memory

OVER = "over_share"
"""The reason of a pair that its part could give beyond its share."""
ORDERS = {
    "pairs": "prompt_id, chosen_id, rejected_id",
    "responses": "prompt_id, model, sample_index, response_id",
    "ratings": "prompt_id, response_id, judge, aspect, ordering, place, rating, call_id",
    "turns": "prompt_id, turn, role, call_id",
    "calls": "row_id, call_id, stage, model",
    "quarantine": "row_id, payload",
}
_LEFT = """
SELECT prompt_id, chosen_id, rejected_id, row_number() OVER (ORDER BY position, chosen_id, rejected_id) AS number
FROM pairs JOIN (SELECT prompt_id, position FROM read_parquet({prompts}) WHERE part = '{part}') USING (prompt_id)
"""
_IDS = "prompt_id, chosen_id, rejected_id"
_TAKEN = f"SELECT {_IDS} FROM pairs_left WHERE number <= {{most}}"
_CALLING = ("responses", "ratings", "turns")
"""Tables whose rows come from calls."""
_HERE = "prompt_id IN (SELECT prompt_id FROM pairs_left WHERE number <= {most})"


class PartRows:
    """The rows of one part whose prompts are left.

    Names of models and judges get the part's name in front, since two parts may use one name for two models.
    """

    def __init__(self, part: PartRun, prompts: Path, into: Path) -> None:
        self.part = part
        self._prompts, self._into = prompts, into

    def count(self) -> tuple[int, int]:
        """Return how many pairs the run has, and how many of them are left."""
        left = _LEFT.format(prompts=quoted(self._prompts), part=self.part.name)
        query = f"SELECT (SELECT count(*) FROM pairs), (SELECT count(*) FROM ({left}))"
        with self.part.tables() as connection:
            found = with_more_memory(connection, lambda: connection.execute(query).fetchone())
        return (int(found[0]), int(found[1])) if found else (0, 0)

    def write(self, most: int) -> None:
        """Write the first pairs, so many, and what belongs to their prompts, and the other pairs as quarantined."""
        left = _LEFT.format(prompts=quoted(self._prompts), part=self.part.name)
        with self.part.tables() as connection:
            create = f"CREATE OR REPLACE TEMP TABLE pairs_left AS {left}"
            with_more_memory(connection, lambda: connection.execute(create))
            for table, query in self._queries(connection, most).items():
                file = self._into / f"{self.part.name} {table}.parquet"
                copy = f"COPY ({query}) TO {quoted(file)} (FORMAT parquet)"
                with_more_memory(connection, lambda copy=copy: connection.execute(copy))  # type: ignore[misc]

    def _queries(self, connection: duckdb.DuckDBPyConnection, most: int) -> Mapping[str, str]:
        """Return the query of each table's rows."""
        here, taken, name = _HERE.format(most=most), _TAKEN.format(most=most), f"'{self.part.name}/' || "
        judged = f"CASE WHEN call_id IS NULL THEN judge ELSE {name}judge END"
        calling = (table for table in _CALLING if "call_id" in columns_of(connection, table))
        called = " UNION ".join(f"SELECT call_id FROM {table} WHERE {here}" for table in calling)
        free = {"model": f"{name}model", "reused": "true", "cost_usd": "0.0::DOUBLE"}
        return {
            "pairs": f"{_select(connection, 'pairs', {})} SEMI JOIN ({taken}) USING ({_IDS})",
            "responses": f"{_select(connection, 'responses', {'model': f'{name}model'})} WHERE {here}",
            "ratings": f"{_select(connection, 'ratings', {'judge': judged})} WHERE {here}",
            "turns": f"{_select(connection, 'turns', {})} WHERE {here}",
            "calls": f"{_select(connection, 'calls', free)} WHERE call_id IN ({called})",
            "quarantine": self._over(most),
        }

    def _over(self, most: int) -> str:
        """Return the query of the pairs beyond the share."""
        payload = f"'part', '{self.part.name}', 'run', '{self.part.run.id}', 'prompt_id', prompt_id"
        return (
            f"SELECT 'mix' AS stage, prompt_id AS row_id, '{OVER}' AS reason, "
            f"'the part {self.part.name} gives {most:,} pairs' AS detail, "
            f"json_object({payload}, 'chosen_id', chosen_id, 'rejected_id', rejected_id)::VARCHAR AS payload "
            f"FROM pairs_left WHERE number > {most}"
        )


def _select(connection: duckdb.DuckDBPyConnection, table: str, changed: Mapping[str, str]) -> str:
    """Return SQL for the rows of a table without kept columns; what an earlier version had not is NULL."""
    there, prompts = columns_of(connection, table), columns_of(connection, "prompts")
    if not there:
        return f"SELECT * FROM ({no_rows(TABLES[table].columns)})"
    fields = [
        f"{changed.get(field.name, identifier(field.name))} AS {identifier(field.name)}"
        if field.name in there
        else null_column(field)
        for field in TABLES[table].columns
    ]
    more = [identifier(name) for name in there if name not in TABLES[table].columns.names and name not in prompts]
    return f"SELECT {', '.join([*fields, *(more if table == 'pairs' else [])])} FROM {table}"


def joined(into: Path, prompts: Path) -> dict[str, str]:
    """Return the queries that join the files of all parts, table by table, in an order that the rows alone decide."""
    queries = {}
    for table, order in ORDERS.items():
        files = ", ".join(quoted(file) for file in sorted(into.glob(f"* {table}.parquet")))
        queries[table] = f"SELECT * FROM read_parquet([{files}], union_by_name = true) ORDER BY {order}"
    taken = f"prompt_id IN (SELECT prompt_id FROM ({queries['pairs']}))"
    return {"prompts": f"SELECT * FROM read_parquet({quoted(prompts)}) WHERE {taken} ORDER BY prompt_id", **queries}

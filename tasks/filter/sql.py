"""SQL on batches of prompts, in a DuckDB that sees nothing else: our rules, and the recipe's predicates on one row."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import duckdb
import pyarrow as pa

from kasasagi.blocks.locked_sql import locked_duckdb
from kasasagi.tasks.filter.rules.registry import FilterError
from kasasagi.tasks.filter.steps import Step

_UNKNOWN_COLUMN = re.compile(r'Binder Error: Referenced column "(.*?)" not found.*')
_REFUSED = {
    "SUBQUERY": "a subquery",
    "WINDOW": "a window function",
    "STAR": "a star",
    "PARAMETER": "a parameter",
}


class SqlSandbox:
    """A locked in-memory DuckDB: no files, no network, no settings, one table called `prompts`. Close it after use.

    It starts with the first query: without any, a start of tens of milliseconds is saved.
    """

    def __enter__(self) -> "SqlSandbox":
        return self

    def __exit__(self, *_: object) -> None:
        if "_connection" in self.__dict__:
            self._connection.close()

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        return locked_duckdb()

    def rules(self, steps: Sequence[Step], batch: pa.RecordBatch) -> list[list[str | None]]:
        """For each of our rules, what was found in each row that breaks it, None where it holds."""
        if not steps:
            return []
        columns, values = [], {}
        for number, step in enumerate(steps):
            columns.append(_rule_sql(step, number, batch.schema.names))
            values.update({f"r{number}_{name}": value for name, value in step.parameters.items()})
        return self._columns(", ".join(columns), batch, values)

    def predicates(self, where: Mapping[str, str], batch: pa.RecordBatch) -> list[list[bool | None]]:
        """For each predicate its outcome per row: true, false, or None (NULL or failed)."""
        if not where:
            return []
        try:
            return self._columns(", ".join(map(_predicate_sql, where.values())), batch, {})
        except duckdb.Error:
            return self._halves(where, batch)

    def broken(self, where: Mapping[str, str], batch: pa.RecordBatch) -> Iterator[tuple[str, list[str | None]]]:
        """For each predicate its reason, and the detail of each row that does not satisfy it."""
        for (reason, predicate), results in zip(where.items(), self.predicates(where, batch), strict=True):
            words = {False: f"false: {predicate}", None: f"null or failed: {predicate}"}
            yield reason, [words.get(value) for value in results]

    def first_broken(self, where: Mapping[str, str], batch: pa.RecordBatch) -> list[tuple[str, str] | None]:
        """For each row the reason and detail of the first predicate that it does not satisfy, None if it does all."""
        found: list[tuple[str, str] | None] = [None] * batch.num_rows
        for reason, details in self.broken(where, batch) if batch.num_rows else ():
            found = [
                one or (None if detail is None else (reason, detail))
                for one, detail in zip(found, details, strict=True)
            ]
        return found

    def mentions(self, predicate: str, columns: Collection[str]) -> bool:
        """Return whether a predicate uses one of some columns; one that cannot be parsed uses none."""
        try:
            tree = self._parse(predicate, predicate)
        except FilterError:
            return False
        used = {node["column_names"][-1].casefold() for node in _nodes(tree) if node.get("class") == "COLUMN_REF"}
        return not used.isdisjoint(name.casefold() for name in columns)

    def check(self, reason: str, predicate: str, schemas: Sequence[pa.Schema]) -> None:
        """Raise FilterError unless a predicate is one plain expression over the columns of a row.

        schemas has the columns as they are, or, where their types are not known yet, as they may be: one must do.
        """
        place = f"where.{reason}: {predicate!r}"
        tree = self._parse(place, predicate)
        found = next((word for kind in _classes(tree) if (word := _REFUSED.get(kind))), None)
        if found is not None:
            raise FilterError(f"{place} contains {found}, but a predicate sees one row at a time: use its columns only")
        unsteady = sorted(set(_names(tree)) & self._unsteady() - set(schemas[0].names))
        if unsteady:
            raise FilterError(f"{place} uses {unsteady[0]}, which differs from run to run: write a constant")
        problems = [self._problem(predicate, schema) for schema in schemas]
        if None not in problems:
            known = ", ".join(schemas[0].names)
            why = _UNKNOWN_COLUMN.sub(lambda found: f"no column {found[1]}", str(problems[0]))
            raise FilterError(f"{place} is not a valid condition ({why}); use one of {known}")

    def _problem(self, predicate: str, schema: pa.Schema) -> str | None:
        """Return what DuckDB says against a predicate on an empty table, None if nothing."""
        empty = pa.RecordBatch.from_pylist([], schema=schema)
        try:
            self._select("1", empty, {}, f"WHERE (\n{predicate}\n)")
            self._select(_predicate_sql(predicate), empty, {})
        except duckdb.Error as error:
            return str(error).strip().partition("\n")[0]
        return None

    def _unsteady(self) -> set[str]:
        """Return the functions that do not depend on their arguments alone."""
        asked = (
            "SELECT function_name FROM duckdb_functions() WHERE stability IN ('VOLATILE', 'CONSISTENT_WITHIN_QUERY')"
        )
        return {name for (name,) in self._connection.execute(asked).fetchall()}

    def _parse(self, place: str, predicate: str) -> Any:
        """Return the parse tree of a predicate that is one expression and nothing else."""
        asked = self._connection.execute(
            "SELECT json_serialize_sql($1::VARCHAR)", [f"SELECT\n{predicate}\n"]
        ).fetchall()
        parsed: dict[str, Any] = json.loads(asked[0][0])
        if parsed["error"]:
            raise FilterError(f"{place} is not SQL ({parsed.get('error_message')}): write one condition on a row")
        nodes = [statement["node"] for statement in parsed["statements"]]
        if len(nodes) != 1 or not _is_bare(nodes[0]):
            raise FilterError(f"{place} is more than one condition: write what stands behind WHERE, and nothing else")
        return nodes[0]["select_list"][0]

    def _halves(self, where: Mapping[str, str], batch: pa.RecordBatch) -> list[list[bool | None]]:
        """Return the outcome of a batch that fails as a whole (out of memory, say), so that only the guilty
        row pays.
        """
        if batch.num_rows == 1:
            return [[None] for _ in where]
        middle = batch.num_rows // 2
        early, late = self.predicates(where, batch.slice(0, middle)), self.predicates(where, batch.slice(middle))
        return [before + after for before, after in zip(early, late, strict=True)]

    def _columns(self, columns: str, batch: pa.RecordBatch, values: Mapping[str, Any]) -> list[list[Any]]:
        rows = self._select(columns, batch, values)
        return [list(column) for column in zip(*rows, strict=True)]

    def _select(self, columns: str, batch: pa.RecordBatch, values: Mapping[str, Any], behind: str = "") -> list[Any]:
        self._connection.register("prompts", pa.Table.from_batches([batch]))
        try:
            return self._connection.execute(f"SELECT {columns} FROM prompts {behind}", dict(values)).fetchall()
        finally:
            self._connection.unregister("prompts")


def _rule_sql(step: Step, number: int, columns: Sequence[str]) -> str:
    """SQL for what a rule finds in a row, NULL where the rule holds or does not apply."""
    rule = step.rule
    if rule is None or not set(rule.needs) <= set(columns):
        return f"NULL::VARCHAR AS r{number}"
    holds, found = (sql.replace("$", f"$r{number}_") if rule.parameters else sql for sql in (rule.holds, rule.found))
    return f"CASE WHEN NOT COALESCE({holds}, true) THEN COALESCE({found}, '')::VARCHAR END AS r{number}"


def _predicate_sql(predicate: str) -> str:
    return f"TRY(CAST((\n{predicate}\n) AS BOOLEAN))"


def _is_bare(node: Mapping[str, Any]) -> bool:
    """Return whether a parsed SELECT is one unnamed expression: no FROM, no WHERE, no ORDER, nothing else."""
    if node["type"] != "SELECT_NODE" or len(node["select_list"]) != 1 or node["select_list"][0].get("alias"):
        return False
    clauses = ("where_clause", "having", "sample", "qualify", "modifiers", "group_expressions")
    return node["from_table"]["type"] == "EMPTY" and not any(node.get(clause) for clause in clauses)


def _names(tree: Any) -> Iterator[str]:
    """Yield what a parse tree calls: its functions, and its bare names, which may be functions too."""
    for node in _nodes(tree):
        if node.get("class") == "FUNCTION":
            yield node["function_name"].lower()
        elif node.get("class") == "COLUMN_REF" and len(node["column_names"]) == 1:
            yield node["column_names"][0].lower()


def _classes(tree: Any) -> Iterator[str]:
    """Return the class of every node of a parse tree."""
    return (node["class"] for node in _nodes(tree) if isinstance(node.get("class"), str))


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a parse tree."""
    if isinstance(tree, dict):
        yield tree
    for value in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(value)

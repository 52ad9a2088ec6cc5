"""Outcomes of gates on rows that were judged before: Great Expectations is not even imported for them.

A gate's outcome depends on the rows that its expectations see and on the expectations, so it is kept by a digest of
both.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import duckdb
import orjson
from pydantic import ValidationError

from kasasagi.blocks.canonical import digest
from kasasagi.tasks.gate.evaluation.frames import columns_query
from kasasagi.tasks.gate.expectation import Expectation, columns_of
from kasasagi.tasks.gate.outcome import Outcome

JUDGES = ("kasasagi", "great_expectations")
"""The packages whose versions decide an outcome."""
GateScope = Literal["scout", "whole"]
Judge = Callable[[duckdb.DuckDBPyConnection, GateScope, Mapping[int, Expectation]], dict[int, Outcome]]
"""Returns the outcomes of expectations on one stage, by the number that each has."""


class KnownOutcomes:
    """The outcomes that a workspace knows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def over(self, judge: Judge) -> Judge:
        """Return a judge that works out only what was not judged before on the same rows."""

        def find_or_judge(
            tables: duckdb.DuckDBPyConnection, scope: GateScope, expectations: Mapping[int, Expectation]
        ) -> dict[int, Outcome]:
            key = outcomes_key(tables, scope, expectations)
            if (found := self.find(key)) is None:
                found = judge(tables, scope, expectations)
                self.keep(key, found)
            return found

        return find_or_judge

    def find(self, key: str) -> dict[int, Outcome] | None:
        """Return the outcomes of a key, by the number of each expectation; None where none are kept or can be read."""
        try:
            rows = orjson.loads((self._folder / f"{key}.json").read_bytes())
            return {int(number): Outcome.model_validate(row) for number, row in rows.items()}
        except (OSError, ValueError, ValidationError, AttributeError):
            return None

    def keep(self, key: str, outcomes: Mapping[int, Outcome]) -> None:
        """Keep some outcomes, unless one could not be evaluated, or cannot be written down."""
        if any(one.fault is not None for one in outcomes.values()):
            return
        try:
            content = orjson.dumps({str(number): one.model_dump() for number, one in outcomes.items()})
        except orjson.JSONEncodeError:
            return
        new = self._folder / f"{key}.{os.getpid()}.new"
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            new.write_bytes(content)
            new.replace(self._folder / f"{key}.json")


def outcomes_key(tables: duckdb.DuckDBPyConnection, scope: GateScope, expectations: Mapping[int, Expectation]) -> str:
    """Return the key under which the outcomes of the expectations on one stage are stored.

    Args:
        tables: The tables of the run.
        scope: Whether the tables contain the first chunk or all rows.
        expectations: The expectations by their numbers; all are on one stage.
    """
    stage = next(iter(expectations.values())).stage
    judges = [version(package) for package in JUDGES]
    asked = {str(number): one.model_dump(mode="json") for number, one in expectations.items()}
    rows = columns_query(tables, stage, columns_of(expectations.values()))
    return digest([judges, stage, scope, asked, _fingerprint(tables, rows)])


def _fingerprint(tables: duckdb.DuckDBPyConnection, query: str) -> list[Any]:
    """Return what tells the rows of a query from others, whatever their order: its columns, their number, sums of
    digests.
    """
    row = "to_json(t)::VARCHAR"
    sums = f"sum(md5_number_lower({row}))::VARCHAR, sum(md5_number_upper({row}))::VARCHAR"
    found = tables.execute(f"SELECT count(*), {sums} FROM ({query}) AS t").fetchall()
    return [tables.execute(f"DESCRIBE {query}").fetchall(), found]

"""Outcomes of gates on rows that were judged before: Great Expectations is not even imported for them.

A gate's outcome depends on the rows that its expectations see and on the expectations, so it is kept by a digest of
both. Where the shards of the rows are the same, too, not even the rows are read.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import duckdb
from pydantic import ValidationError

from kasasagi.blocks.canonical import digest
from kasasagi.blocks.workspace.runs import RunHandle
from kasasagi.tasks.gate.evaluation.frames import columns_query
from kasasagi.tasks.gate.expectation import Expectation, columns_of
from kasasagi.tasks.gate.outcome import Outcome
from kasasagi.tasks.pipeline import gate_of
from kasasagi.tasks.tables.known_results import OF_ONE_RUN, KnownResults, content_of, tables_in

JUDGES = ("kasasagi", "great_expectations")
"""The packages whose versions decide an outcome."""
GateScope = Literal["scout", "whole"]
Judge = Callable[[GateScope, Mapping[int, Expectation]], dict[int, Outcome]]
"""Returns the outcomes of expectations on one stage, by the number that each has."""


class KnownOutcomes:
    """The outcomes that a workspace knows."""

    def __init__(self, folder: Path) -> None:
        self._results = KnownResults(folder)

    def over(self, tables: duckdb.DuckDBPyConnection, judge: Judge) -> Judge:
        """Return a judge of these tables that works out only what was not judged before on the same rows."""

        def find_or_judge(scope: GateScope, expectations: Mapping[int, Expectation]) -> dict[int, Outcome]:
            key = outcomes_key(tables, scope, expectations)
            if (found := self.find(key)) is None:
                found = judge(scope, expectations)
                self.keep(key, found)
            return found

        return find_or_judge

    def find(self, key: str) -> dict[int, Outcome] | None:
        """Return the outcomes of a key, by the number of each expectation; None where none are kept or can be read."""
        try:
            return {int(number): Outcome.model_validate(row) for number, row in self._results.find(key).items()}
        except (ValueError, ValidationError, AttributeError):
            return None

    def keep(self, key: str, outcomes: Mapping[int, Outcome]) -> None:
        """Keep some outcomes, unless one could not be evaluated, or cannot be written down."""
        if not any(one.fault is not None for one in outcomes.values()):
            self._results.keep(key, {str(number): one.model_dump() for number, one in outcomes.items()})


def shards_key(handles: Sequence[RunHandle], stage: str, scope: GateScope, every: Sequence[Expectation]) -> str | None:
    """Return a key of all outcomes on a stage that needs no look at its rows; None where their shards do not decide.

    Args:
        handles: The chunks that are judged.
        stage: The stage.
        scope: Whether they are the first chunk or all.
        every: The recipe's expectations, on this stage and on others.
    """
    here = [one for one in every if one.stage == stage and one.scope in (scope, "both")]
    gate = gate_of(stage)
    tables = tables_in(gate.frame) | ({gate.table} if gate.table else set())
    if tables & OF_ONE_RUN or not all(_is_of_its_rows(one) for one in here):
        return None
    asked = [one.model_dump(mode="json") for one in here]
    frame = [gate.frame, gate.table, gate.joined_by or gate.id]
    return digest(["shards", _judges(), stage, scope, asked, frame, content_of(handles, tables)])


def _is_of_its_rows(one: Expectation) -> bool:
    """Return whether an expectation is of the library and looks at the stage's rows alone."""
    return not (one.is_audit or one.is_own or one.unexpected_rows_query is not None)


def _judges() -> list[str]:
    return [version(package) for package in JUDGES]


def outcomes_key(tables: duckdb.DuckDBPyConnection, scope: GateScope, expectations: Mapping[int, Expectation]) -> str:
    """Return the key under which the outcomes of the expectations on one stage are stored.

    Args:
        tables: The tables of the run.
        scope: Whether the tables contain the first chunk or all rows.
        expectations: The expectations by their numbers; all are on one stage.
    """
    stage = next(iter(expectations.values())).stage
    asked = {str(number): one.model_dump(mode="json") for number, one in expectations.items()}
    rows = columns_query(tables, stage, columns_of(expectations.values()))
    return digest([_judges(), stage, scope, asked, _fingerprint(tables, rows)])


def _fingerprint(tables: duckdb.DuckDBPyConnection, query: str) -> list[Any]:
    """Return what tells the rows of a query from others, whatever their order: its columns, their number, sums of
    digests.
    """
    row = "to_json(t)::VARCHAR"
    sums = f"sum(md5_number_lower({row}))::VARCHAR, sum(md5_number_upper({row}))::VARCHAR"
    found = tables.execute(f"SELECT count(*), {sums} FROM ({query}) AS t").fetchall()
    return [tables.execute(f"DESCRIBE {query}").fetchall(), found]

"""A stage's gate: the rows that it looks at, and what it expects of them unless the recipe says otherwise."""

from dataclasses import dataclass

from kasasagi.blocks.models.llm import PASSING
from kasasagi.tasks.gate.expectation import Expectation, never

NOT_ANSWERED = f"reason IN ({', '.join(repr(reason) for reason in sorted(PASSING - {'budget_spent'}))})"
"""SQL: a row was rejected because its call failed temporarily, e.g. in an outage."""
UNREAD = "payload->>'reply' IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Gate:
    """What a gate looks at, and what it expects.

    Attributes:
        frame: SQL for one row of what is judged each; a column speaks of the rows alone where it is not NULL.
        id: The column of the frame that names a row.
        expect: The expectations that a recipe may change.
        table: The table that further columns are taken from; None if there is none.
        joined_by: The column that the frame and this table share, where it is not the id.
        of_several_judges: Further expectations where several judges have a say.
        of_checkers: Further expectations where answers are checked without a judge.
    """

    frame: str
    id: str
    expect: tuple[Expectation, ...]
    table: str | None = None
    joined_by: str | None = None
    of_several_judges: tuple[Expectation, ...] = ()
    of_checkers: tuple[Expectation, ...] = ()


def of_calls(stage: str, unreadable: str, *expect: Expectation) -> Gate:
    """Return the gate of a stage that asks about each row: how many replies came, and could be read.

    Args:
        stage: The stage.
        unreadable: SQL for whether a rejected row's reply could not be read.
        expect: What is expected besides that calls are answered.
    """
    frame = f"""
SELECT false AS unreadable, false AS no_answer FROM (SELECT unnest(range(rows_out)) FROM stages WHERE stage = '{stage}')
UNION ALL BY NAME
SELECT row_id, {unreadable} AS unreadable, {NOT_ANSWERED} AS no_answer, reason FROM quarantine WHERE stage = '{stage}'
"""
    return Gate(frame, "row_id", (never(stage, "no_answer", 0.02), *expect))


def of_own_stage(stage: str) -> Gate:
    """Return the gate of a stage of a user's own."""
    return of_calls(stage, UNREAD, never(stage, "unreadable", 0.05))

"""What a format is, and what several of them share."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

Row = Mapping[str, Any]
ANSWERS = "kasasagi:answers"
"""The column that holds all responses to a prompt; no column of a source is called so by chance."""


def _no_files(splits: Sequence[str]) -> dict[str, bytes]:
    return {}


@dataclass(frozen=True, slots=True)
class Format:
    """One dataset format.

    Attributes:
        convert: Turns a table with all columns into one whose schema is the same for every table of a dataset. All
            pairs of a prompt are in one table.
        loading: Code that loads the dataset, in the language `loading_language`; `{folder}` is replaced by the
            published folder and `{splits}` by the code that selects the training split.
        columns: The meaning of each column, for the card.
        refuses: Returns the reason why a row does not fit the format, or None; such a row is left out and counted.
        files: Returns further files by name, from the names of the splits.
        verbatim: Whether every text is unchanged.
        rows: Whether it is made of pairs, or of prompts, one row each, with all their responses in the column ANSWERS.
        answers: Whether pairs have that column, too.
        keeps: Whether it contains the columns that the recipe keeps.
    """

    name: str
    consumer: str
    loading: str
    convert: Callable[[pa.Table], pa.Table]
    columns: Mapping[str, str]
    loading_language: str = "python"
    refuses: Callable[[Row], str | None] | None = None
    files: Callable[[Sequence[str]], dict[str, bytes]] = _no_files
    verbatim: bool = True
    rows: Literal["pairs", "prompts"] = "pairs"
    answers: bool = False
    keeps: bool = False


def by_row(schema: pa.Schema, make: Callable[[Row], dict[str, Any]]) -> Callable[[pa.Table], pa.Table]:
    """Return a conversion that makes one row of each."""

    def convert(rows: pa.Table) -> pa.Table:
        return table_of(schema, (make(row) for row in rows.to_pylist()))

    return convert


def table_of(schema: pa.Schema, rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows as a table of that schema."""
    return pa.Table.from_pylist(list(rows), schema=schema)


def text_of(row: Row, side: str) -> str:
    """Return the text of the chosen or the rejected answer."""
    return str(row[side][0]["content"])


def first_question(row: Row) -> str:
    """Return the first thing that the user said, as datasets with a plain `prompt` beside whole
    conversations have it.
    """
    return next((turn["content"] for turn in row["prompt"] if turn["role"] == "user"), "")


def misplaced_turn(messages: Sequence[Mapping[str, str]]) -> str | None:
    """Return why a conversation is not an optional system message, then alternating turns up to a user's message."""
    turns = messages[1:] if messages and messages[0]["role"] == "system" else messages
    if any(turn["role"] == "system" for turn in turns):
        return "system_message_inside"
    wanted = ("user", "assistant")
    if len(turns) % 2 == 0 or any(turn["role"] != wanted[place % 2] for place, turn in enumerate(turns)):
        return "turns_do_not_alternate"
    return None

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
    """One format: its name, who loads it, and how rows as `kasasagi.tasks.publish.rows` gives them become its rows.

    `convert` takes a table with all columns and gives one whose schema is the same for every table of a dataset. All
    pairs of a prompt are in one table. `loading` is what a user writes to load the dataset and hand it on, in the
    language that `loading_language` names; in it `{folder}` stands for the published folder and `{splits}` for what
    picks the training split of a saved dataset. `columns` says what each column
    is, for the card. `refuses` gives the reason why a row cannot stand in the format, or None; such a row is left
    out and counted. `files` gives further files by name, from the names of the splits. `verbatim` is whether every text
    stands as it was. `rows` is whether it is made of pairs, or of prompts, a row each, which have all their responses
    in the column ANSWERS; pairs have that column too where `answers` is set. `keeps` is whether the columns that the
    recipe keeps are in it.
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
    """A conversion that makes one row of each."""

    def convert(rows: pa.Table) -> pa.Table:
        return table_of(schema, (make(row) for row in rows.to_pylist()))

    return convert


def table_of(schema: pa.Schema, rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows as a table of that schema."""
    return pa.Table.from_pylist(list(rows), schema=schema)


def text_of(row: Row, side: str) -> str:
    """The text of the chosen or the rejected answer."""
    return str(row[side][0]["content"])


def first_question(row: Row) -> str:
    """The first thing that the user said, as datasets with a plain `prompt` beside whole conversations have it."""
    return next((turn["content"] for turn in row["prompt"] if turn["role"] == "user"), "")


def misplaced_turn(messages: Sequence[Mapping[str, str]]) -> str | None:
    """Why a conversation is not an optional system message, then user and assistant by turns up to a user's message."""
    turns = messages[1:] if messages and messages[0]["role"] == "system" else messages
    if any(turn["role"] == "system" for turn in turns):
        return "system_message_inside"
    wanted = ("user", "assistant")
    if len(turns) % 2 == 0 or any(turn["role"] != wanted[place % 2] for place, turn in enumerate(turns)):
        return "turns_do_not_alternate"
    return None

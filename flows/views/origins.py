"""Where prompts are from that were made out of others: rewrites have origins, dialogues first turns."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from duckdb import DuckDBPyConnection

from kasasagi.blocks.hints import command
from kasasagi.flows.views.table_reader import fetch

ORIGIN = "origin_id"
REWRITE = "rewrite"
_KNOWS_PARTS = "FROM duckdb_columns() WHERE table_name = 'mix_parts' LIMIT 1"
_PART = "SELECT part, run, recipe, workspace FROM mix_parts WHERE part = ? AND run = ?"


def column(rows: Iterable[Mapping[str, Any]], name: str) -> list[str]:
    """Return the values of a column that some rows have, each once."""
    return list(dict.fromkeys(row[name] for row in rows if row.get(name)))


def knows_turns(connection: DuckDBPyConnection) -> bool:
    """Return whether a run is of a version that knew dialogues that grow."""
    return bool(fetch(connection, "FROM duckdb_columns() WHERE table_name = 'turns' AND column_name = 'seed_id'"))


def turns_of(connection: DuckDBPyConnection, by: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the turns of dialogues that grew; none in a run of a version that knew none."""
    if not knows_turns(connection):
        return []
    return fetch(connection, f"FROM turns WHERE list_contains(?, {by}) ORDER BY prompt_id, turn, role", [list(names)])


def grown(connection: DuckDBPyConnection, prompts: Sequence[str]) -> list[str]:
    """Prompts with the dialogues that some of them grew into."""
    return list(dict.fromkeys([*prompts, *column(turns_of(connection, "seed_id", prompts), "prompt_id")]))


def origins_of(
    connection: DuckDBPyConnection, prompts: Sequence[Mapping[str, Any]], named: Sequence[str]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the ids of what some prompts were rewritten from, and of those that are named so, with their rows.

    Rows are those of the dialogues that the origins grew into, where they did. An origin that went no further has none.
    """
    ids = list(dict.fromkeys([*column(prompts, ORIGIN), *named]))
    if not ids:
        return [], []
    query = "FROM prompts WHERE list_contains(?, prompt_id) ORDER BY prompt_id"
    return ids, fetch(connection, query, [grown(connection, ids)])


def parts_of(connection: DuckDBPyConnection, prompts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the runs that some prompts of a mix come from, each with the command that traces the prompt there."""
    found = []
    for row in prompts if fetch(connection, _KNOWS_PARTS) else ():
        for part in fetch(connection, _PART, [row.get("part"), row.get("part_run")]):
            trace = command("trace", row["prompt_id"], part["run"], workspace=Path(part["workspace"]))
            found.append({**part, "prompt_id": row["prompt_id"], "trace": trace})
    return found


def rewriting_calls(
    connection: DuckDBPyConnection, prompts: Sequence[Mapping[str, Any]], origins: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return the calls that made some rewrites: the reply is the new words, and the request holds the origin's."""
    asked = [text for row in origins for text in _user_texts(row)]
    made = [text for row in prompts if row.get(ORIGIN) for text in _user_texts(row)]
    query = f"SELECT * FROM calls WHERE stage = '{REWRITE}' AND contains(reply, ?) ORDER BY call_id"
    found = [call for text in made for call in fetch(connection, query, [text]) if _rewrite_text(call) == text]
    return [call["call_id"] for call in found if not asked or any(text in _request_text(call) for text in asked)]


def made_by(connection: DuckDBPyConnection, call_id: str) -> list[str]:
    """Return the prompts that a call's rewriting became; none where it is no such call."""
    calls = fetch(connection, f"FROM calls WHERE stage = '{REWRITE}' AND call_id = ?", [call_id])
    if not calls or ORIGIN not in {row["column_name"] for row in fetch(connection, "DESCRIBE prompts")}:
        return []
    holds = "len(list_filter(messages, lambda turn: turn.role = 'user' AND turn.content = ?)) > 0"
    query = f"FROM prompts WHERE {ORIGIN} IS NOT NULL AND {holds} ORDER BY prompt_id"
    rows = fetch(connection, query, [_rewrite_text(calls[0])])
    return [
        row["prompt_id"]
        for row in rows
        if call_id in rewriting_calls(connection, [row], origins_of(connection, [row], [])[1])
    ]


def _user_texts(row: Mapping[str, Any]) -> list[str]:
    return [turn["content"] for turn in row["messages"] or () if turn["role"] == "user"]


def _request_text(call: Mapping[str, Any]) -> str:
    return str(orjson.loads(call["request"])["messages"][1]["content"])


def _rewrite_text(call: Mapping[str, Any]) -> str:
    """Return what stands between the marks of a rewriting reply."""
    return str(call["reply"]).partition("<request>")[2].rpartition("</request>")[0].strip()

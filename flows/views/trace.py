"""The way of one row through a run: from its source to the pair, or to its quarantine."""

from collections.abc import Sequence
from typing import Any

import orjson
from duckdb import DuckDBPyConnection
from rich.console import Console

from kasasagi.blocks.hints import command
from kasasagi.blocks.workspace.runs import Run
from kasasagi.flows.errors import UsageError
from kasasagi.flows.views import drawing
from kasasagi.flows.views.drawing import plain
from kasasagi.flows.views.origins import (
    ORIGIN,
    column,
    grown,
    knows_turns,
    made_by,
    origins_of,
    parts_of,
    rewriting_calls,
    turns_of,
)
from kasasagi.flows.views.safe_text import dollars, messages_text, one_line
from kasasagi.flows.views.table_reader import fetch, reading

LEAST_DIGITS = 6
SHOWN_CANDIDATES = 5
REPLY_LINES = 16
# Kinds in the order in which a name is looked up, and the columns that hold it.
_KINDS = {
    "prompt": (("prompts", "prompt_id"), ("pairs", "prompt_id"), ("responses", "prompt_id")),
    "response": (("responses", "response_id"), ("ratings", "response_id")),
    "draw": (("draws", "draw_id"),),
    "call": (("calls", "call_id"),),
    "quarantined row": (("quarantine", "row_id"),),
    "first turn": (("draws", "prompt_id"), ("turns", "seed_id")),
}

# Two prompts that make the same request share its call, which then stands in the table once for each: first the paid.
_CALLS = """
FROM (
    SELECT DISTINCT ON (stage, call_id) * FROM calls
    WHERE list_contains(?, call_id) OR list_contains(?, {row_id}) ORDER BY stage, call_id, reused
) ORDER BY stage DESC, model, call_id
"""


def trace(run: Run, name: str) -> dict[str, Any]:
    """Return all that a run knows of the prompt to which an id belongs.

    The id is that of a prompt (which is also its pair's), a response, a draw, a call or a quarantined row, whole or at
    least its first 6 characters. Keys: id, kind, prompt_ids, pairing (whether the run makes pairs), draws, turns,
    origins (what the prompts were rewritten from, where they were), prompts, responses, calls, ratings, pairs,
    quarantine, parts (of a mix, each with the command that traces the prompt in its run); calls hold their request and
    the model's raw words, draws are also those of the origins.

    Raises:
        UsageError: For an unknown or ambiguous id.
    """
    with reading(run) as connection:
        kind, found = _find(connection, run, name)
        prompts = grown(connection, _prompts_of(connection, kind, found))
        pairing = run.product() == "pairs"
        chain = _chain(connection, found, prompts)
        parts = parts_of(connection, chain["prompts"])
        return {"id": found, "kind": kind, "prompt_ids": prompts, "pairing": pairing, **chain, "parts": parts}


def draw_trace(chain: dict[str, Any], console: Console, full: bool = False) -> None:
    """Draw a chain, in the order in which things happened."""
    lines = None if full else drawing.TEXT_LINES
    console.print(plain(f"{chain['kind']} ", "bold").append_text(drawing.short(chain["id"], "bold cyan")))
    calls = {call["call_id"]: call for call in chain["calls"]}
    for draw in chain["draws"]:
        _step(console, "Draw", draw["draw_id"], _fields(draw, "template", "draw", "finish_reason", "text"), lines)
    for prompt in chain["origins"]:
        _step(console, "Origin", prompt["prompt_id"], _prompt_fields(prompt), lines)
    for prompt in chain["prompts"]:
        _step(console, "Prompt", prompt["prompt_id"], _prompt_fields(prompt), lines)
    for response in chain["responses"]:
        fields = _fields(response, "model", "sample_index", "finish_reason", "completion_tokens", "thinking", "content")
        fields += [*_paid(calls.get(response["call_id"])), *map(_rating, _without_call(chain, response))]
        _step(console, "Response", response["response_id"], fields, lines)
    judged = {rating["call_id"] for rating in chain["ratings"]}
    made = {row["call_id"] for row in (*chain["draws"], *chain["responses"])}
    for call in chain["calls"]:
        if call["call_id"] in judged or call["call_id"] not in made:
            ratings = [rating for rating in chain["ratings"] if rating["call_id"] == call["call_id"]]
            fields = [*_call_fields(call), *map(_rating, ratings)]
            _step(console, f"Call ({call['stage']})", call["call_id"], fields, None if full else REPLY_LINES)
    for pair in chain["pairs"]:
        names = ("chosen_id", "chosen_rating", "rejected_id", "rejected_rating", "margin")
        _step(console, "Pair", pair["prompt_id"], _fields(pair, *names, "unsafe_prompt", "refusal_side"), lines)
    for row in chain["quarantine"]:
        fields = _fields(row, "stage", "reason", "detail", "payload")
        _step(console, "Quarantined", row["row_id"] or "", fields, lines)
    for part in chain["parts"]:
        _step(console, "Part", part["part"], _fields(part, "run", "recipe", "workspace", "trace"), lines)
    if chain["pairing"] and not chain["pairs"]:
        console.print()
        console.print(plain("It gave no pair.", "yellow"))


def _without_call(chain: dict[str, Any], response: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the ratings of a response that no model gave: those of checkers and of people."""
    ratings = [rating for rating in chain["ratings"] if rating["call_id"] is None]
    return [rating for rating in ratings if rating["response_id"] == response["response_id"]]


def reply_text(reply: str | None) -> str:
    """Return the model's words in a kept reply."""
    try:
        kept = orjson.loads(reply or "")
    except orjson.JSONDecodeError:
        return reply or ""
    return str(kept["text"]) if isinstance(kept, dict) and "text" in kept else reply or ""


def _find(connection: DuckDBPyConnection, run: Run, name: str) -> tuple[str, str]:
    """Return the kind and the whole of an id. Raises UsageError for one that is unknown, too short or ambiguous."""
    wanted = name.strip().lower()
    matches = _matches(connection, wanted)
    exact = [match for match in matches if match[1].lower() == wanted]
    found = exact[:1] or matches
    shown = repr(one_line(name, 60))
    if not found:
        example = command("sql", run.id, "from pairs", workspace=run.workspace.folder)
        raise UsageError(
            f"no prompt, response, pair, draw, call or quarantined row of run {run.id} has an id that begins with "
            f"{shown}; {example} shows some ids"
        )
    if not exact and len(wanted) < LEAST_DIGITS:
        raise UsageError(
            f"{shown} is too short for an id: give at least {LEAST_DIGITS} digits; ids that begin so: "
            f"{_candidates(found)}"
        )
    if len(found) > 1:
        raise UsageError(f"several ids begin with {shown}: give more digits; they are {_candidates(found)}")
    return found[0]


def _candidates(found: Sequence[tuple[str, str]]) -> str:
    """Return some of the ids that may be meant."""
    several = ", ".join(f"{one_line(row, 40)} ({kind})" for kind, row in found[:SHOWN_CANDIDATES])
    return f"{several}, and others" if len(found) > SHOWN_CANDIDATES else several


def _matches(connection: DuckDBPyConnection, wanted: str) -> list[tuple[str, str]]:
    """Return the ids that are this one or begin with it, each once with the first kind that knows it."""
    known: dict[str, str] = {}
    for kind, places in _KINDS.items():
        for table, key in places:
            if not wanted or (table == "turns" and not knows_turns(connection)):
                continue
            query = f"SELECT DISTINCT {key} AS id FROM {table} WHERE starts_with(lower({key}), ?) ORDER BY id LIMIT 20"
            for row in fetch(connection, query, [wanted]):
                known.setdefault(row["id"], kind)
    return [(kind, row) for row, kind in known.items()]


def _prompts_of(connection: DuckDBPyConnection, kind: str, found: str) -> list[str]:
    if kind in ("prompt", "first turn"):
        return [found]
    sources = {
        "response": ("responses", "response_id"),
        "draw": ("draws", "draw_id"),
        "call": ("draws UNION ALL BY NAME FROM responses UNION ALL BY NAME FROM ratings", "call_id"),
        "quarantined row": (),
    }[kind]
    if not sources:
        return _named_in_payloads(fetch(connection, "SELECT payload FROM quarantine WHERE row_id = ?", [found]))
    table, key = sources
    query = f"SELECT DISTINCT prompt_id FROM (FROM {table}) WHERE {key} = ? AND prompt_id IS NOT NULL ORDER BY ALL"
    named = [row["prompt_id"] for row in fetch(connection, query, [found])]
    turned = column(turns_of(connection, "call_id", [found]), "prompt_id")
    return named or turned or made_by(connection, found) or _asked_about(connection, found)


def _row_id(connection: DuckDBPyConnection) -> str:
    """Return SQL for the row that a call was about; NULL in a run of a version that did not note it."""
    noted = any(row["column_name"] == "row_id" for row in fetch(connection, "DESCRIBE calls"))
    return "row_id" if noted else "NULL"


def _asked_about(connection: DuckDBPyConnection, call_id: str) -> list[str]:
    """Return the prompts that a call was about, or whose response it was about."""
    row_id = _row_id(connection)
    query = f"SELECT DISTINCT {row_id} AS row_id FROM calls WHERE call_id = ? AND {row_id} IS NOT NULL ORDER BY ALL"
    rows = column(fetch(connection, query, [call_id]), "row_id")
    query = "SELECT DISTINCT prompt_id FROM responses WHERE list_contains(?, response_id) ORDER BY ALL"
    return column(fetch(connection, query, [rows]), "prompt_id") or rows


def _named_in_payloads(rows: list[dict[str, Any]], name: str = "prompt_id") -> list[str]:
    """Return the prompts that quarantined rows name in what is left of them."""
    names: dict[str, None] = {}
    for row in rows:
        try:
            payload = orjson.loads(row["payload"] or "")
        except orjson.JSONDecodeError:
            continue
        if isinstance(payload, dict) and isinstance(payload.get(name), str):
            names[payload[name]] = None
    return list(names)


def _chain(connection: DuckDBPyConnection, found: str, prompts: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table that belong to those prompts or bear the id itself."""

    def of(table: str, order: str) -> list[dict[str, Any]]:
        return fetch(connection, f"FROM {table} WHERE list_contains(?, prompt_id) ORDER BY {order}", [prompts])

    responses, ratings = of("responses", "model, sample_index"), of("ratings", "aspect, ordering, place")
    turns = turns_of(connection, "prompt_id", prompts)
    here = of("prompts", "prompt_id")
    left = fetch(connection, "SELECT payload FROM quarantine WHERE row_id = ?", [found])
    origin_ids, origins = origins_of(connection, here, _named_in_payloads(left, ORIGIN))
    turns += turns_of(connection, "prompt_id", [row["prompt_id"] for row in origins if row["prompt_id"] not in prompts])
    begun = [*prompts, *origin_ids, *column(turns, "seed_id")]
    draws = fetch(
        connection, "FROM draws WHERE list_contains(?, prompt_id) OR draw_id = ? ORDER BY draw", [begun, found]
    )
    rewriting = rewriting_calls(connection, here, origins)
    call_ids = [found, *column([*draws, *turns, *responses, *ratings], "call_id"), *rewriting]
    known = [found, *prompts, *call_ids, *column(responses, "response_id"), *column(draws, "draw_id")]
    quarantine_row = fetch(connection, "FROM quarantine WHERE list_contains(?, row_id) ORDER BY stage, reason", [known])
    about = [*begun, *column(responses, "response_id")]
    calls = fetch(connection, _CALLS.format(row_id=_row_id(connection)), [call_ids, about])
    return {
        "draws": draws,
        "turns": turns,
        "origins": origins,
        "prompts": here,
        "responses": responses,
        "calls": calls,
        "ratings": ratings,
        "pairs": of("pairs", "chosen_id, rejected_id"),
        "quarantine": quarantine_row,
    }


def _step(console: Console, title: str, name: str, fields: Sequence[tuple[str, Any]], lines: int | None) -> None:
    console.print()
    console.print(drawing.short(title, "bold").append(" ").append_text(drawing.short(name, "cyan")))
    console.print(drawing.draw_fields(console, fields, lines, indent=2))


def _fields(row: dict[str, Any], *names: str) -> list[tuple[str, Any]]:
    return [(name, row[name]) for name in names if row.get(name) is not None]


def _prompt_fields(prompt: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return where a prompt came from, its kept columns and what it says."""
    usual = ("prompt_id", "messages", "instruction")
    kept = [(name, value) for name, value in prompt.items() if name not in usual and value is not None]
    return [*kept, ("messages", messages_text(prompt["messages"]))]


def _call_fields(call: dict[str, Any]) -> list[tuple[str, Any]]:
    return [*_fields(call, "model", "finish_reason", "error"), *_paid(call), ("reply", reply_text(call["reply"]))]


def _paid(call: dict[str, Any] | None) -> list[tuple[str, Any]]:
    if call is None:
        return []
    how = "reused from the ledger" if call["reused"] else f"sent in this run, {dollars(call['cost_usd'] or 0)}"
    return [("call", f"{call['call_id']} ({how})")]


def _rating(rating: dict[str, Any]) -> tuple[str, Any]:
    """Return what was read out of a judge's words on one response."""
    place = "rating" if rating["place"] is None else f"text {rating['place']}"
    value = "no rating" if rating["rating"] is None else f"{round(rating['rating'], 2):g} for {rating['aspect']}"
    return place, f"{value}, response {rating['response_id']}: {rating['rationale'] or ''}"

"""Splits and families: what is one prompt, or was made from one, is never in train and in test."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pytest

from kasasagi.blocks.canonical import prompt_id
from kasasagi.blocks.tables import PROMPTS
from kasasagi.tasks.publish.config import PublishConfig
from kasasagi.tasks.publish.families import Families
from kasasagi.tasks.publish.rows import PairRows
from kasasagi.tasks.publish.writer import split_rows
from kasasagi.tasks.tables import table

COUNT = 60
BRIEF, LONG = "Be brief.", "Take your time."


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as made:
        yield made


def prompt(*texts: str, system: str | None = None, **columns: Any) -> dict[str, Any]:
    """A prompt's row: its turns, the user's first, perhaps behind a system message."""
    turns = [{"role": "assistant" if place % 2 else "user", "content": text} for place, text in enumerate(texts)]
    messages = [*([{"role": "system", "content": system}] if system else []), *turns]
    return {"prompt_id": prompt_id(messages), "messages": messages, "instruction": texts[-1], **columns}


def fill(
    connection: duckdb.DuckDBPyConnection, prompts: list[dict[str, Any]], turns: Iterable[dict[str, Any]] = ()
) -> None:
    """Tables in which each prompt gave a pair, and the responder's system prompt was the brief one."""
    answers, pairs, calls = [], [], []
    for row in prompts:
        name, messages = row["prompt_id"], row["messages"]
        own = messages[0]["role"] == "system"
        sent = messages if own else [{"role": "system", "content": BRIEF}, *messages]
        call = f"call {prompt_id(sent)}"
        calls.append({"call_id": call, "stage": "respond", "request": orjson.dumps({"messages": sent}).decode()})
        for side in ("c", "r"):
            answers.append({"response_id": name + side, "prompt_id": name, "content": side, "call_id": call})
        pairs.append({"prompt_id": name, "chosen_id": f"{name}c", "rejected_id": f"{name}r"})
    kept = sorted({name for row in prompts for name in row} - set(PROMPTS.names))
    rows = {"responses": answers, "pairs": pairs, "calls": calls, "turns": list(turns), "ratings": []}
    tables = {name: table(name, some) for name, some in rows.items()}
    schema = pa.schema([*PROMPTS, *((name, pa.string()) for name in kept)])
    for name, some in {**tables, "prompts": pa.Table.from_pylist(prompts, schema)}.items():
        connection.register(name, some)


def sides(connection: duckdb.DuckDBPyConnection, rewritten: bool = False, **settings: Any) -> dict[str, str]:
    """The side on which each prompt is published."""
    config = PublishConfig.model_validate({"split": {"test": 0.4}, **settings})
    families = Families(connection, config, rewritten)
    return {
        name: side
        for rows in PairRows(connection, config).tables()
        for side, part in split_rows(rows, families, config.split).items()
        for name in part["prompt_id"].to_pylist()
    }


def apart(found: dict[str, str], families: Iterable[list[dict[str, Any]]]) -> int:
    """How many families are on both sides."""
    assert set(found.values()) == {"train", "test"}
    return sum(len({found[row["prompt_id"]] for row in family}) > 1 for family in families)


ASKED = [f"Question {number}?" for number in range(COUNT)]


def test_prompts_as_they_were_loaded_stay_where_they_were(connection: duckdb.DuckDBPyConnection) -> None:
    rows = pa.table({"prompt_id": [f"{number:032x}" for number in range(40)]})
    found = []
    for seed in (0, 7):
        config = PublishConfig.model_validate({"split": {"test": 0.2, "seed": seed}})
        parts = split_rows(rows, Families(connection, config, rewritten=False), config.split)
        found.append([int(name, 16) for name in parts["test"]["prompt_id"].to_pylist()])
    assert found == [[0, 2, 3, 4, 11, 18, 22, 23, 26, 31, 36, 39], [2, 5, 10, 17, 39]]


@pytest.mark.parametrize(
    "settings", [{"system": "drop"}, {"prompt": "as_sent"}, {"prompt": "as_sent", "system": "drop"}]
)
def test_prompts_that_became_one_are_on_one_side(
    connection: duckdb.DuckDBPyConnection, settings: dict[str, str]
) -> None:
    families = [[prompt(text), prompt(text, system=BRIEF), prompt(text, system=LONG)] for text in ASKED]
    fill(connection, [row for family in families for row in family])
    found = sides(connection, **settings)
    assert len(found) == 3 * COUNT
    assert apart(found, families) == 0
    assert apart(sides(connection), families) > 0


def test_prompts_that_stay_as_they_were_keep_their_side(connection: duckdb.DuckDBPyConnection) -> None:
    fill(connection, [prompt(text) for text in ASKED])
    assert sides(connection, system="drop") == sides(connection) == sides(connection, rewritten=True)


def with_rewrites(text: str, system: str | None = None) -> list[dict[str, Any]]:
    """A prompt and two rewrites of it."""
    origin = prompt(text, system=system)
    made = [f"{text} In other words ({system}).", f"{text} With reasons ({system})."]
    return [origin, *(prompt(new, system=system, origin_id=origin["prompt_id"]) for new in made)]


def test_rewrites_are_on_the_side_of_their_origin(connection: duckdb.DuckDBPyConnection) -> None:
    families = [with_rewrites(text) for text in ASKED]
    fill(connection, [row for family in families for row in family])
    found, alone = sides(connection, rewritten=True), sides(connection)
    assert apart(found, families) == 0
    assert apart(alone, families) > 0
    assert all(found[family[0]["prompt_id"]] == alone[family[0]["prompt_id"]] for family in families)


def test_dialogues_that_rewrites_grew_into_are_on_the_side_of_their_origin(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    families, turns = defaultdict(list), []
    for text in ASKED:
        for row in with_rewrites(text):
            more = {"origin_id": row["origin_id"]} if "origin_id" in row else {}
            families[text].append(prompt(row["instruction"], "So it is.", "Why?", **more))
            ids = {"prompt_id": families[text][-1]["prompt_id"], "seed_id": row["prompt_id"]}
            turns += [{**ids, "role": "assistant"}, {**ids, "role": "user"}]
    fill(connection, [row for family in families.values() for row in family], turns)
    for settings in ({}, {"system": "drop"}):
        found = sides(connection, rewritten=True, **settings)
        assert len(found) == 3 * COUNT
        assert apart(found, families.values()) == 0


def test_rewrites_of_prompts_that_became_one_are_on_one_side(connection: duckdb.DuckDBPyConnection) -> None:
    families = [[*with_rewrites(text, BRIEF), *with_rewrites(text, LONG)] for text in ASKED]
    fill(connection, [row for family in families for row in family])
    assert apart(sides(connection, rewritten=True, system="drop"), families) == 0
    assert apart(sides(connection, rewritten=True), families) > 0

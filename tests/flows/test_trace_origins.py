"""Traces of what was made out of other prompts: a rewrite leads to its origin, a later turn to the first one."""

import io
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from rich.console import Console

from kasasagi.blocks.canonical import prompt_id
from kasasagi.blocks.tables import PROMPTS
from kasasagi.blocks.workspace.runs import Run, Workspace
from kasasagi.blocks.workspace.shards import Account, Handle
from kasasagi.flows.views.trace import draw_trace, trace
from kasasagi.tasks.asking import quarantine_row
from kasasagi.tasks.tables import table
from tests.tasks.helpers import prompt

ORIGIN, OTHER = prompt("Name a river."), prompt("Name a lake.")
REWRITTEN = "Name a river, and say where it ends."
DRAW, CALL = "d" * 32, "c" * 32


def call(name: str, stage: str, asked: str, reply: str) -> dict[str, Any]:
    messages = [{"role": "system", "content": "You rewrite."}, {"role": "user", "content": asked}]
    return {"call_id": name, "stage": stage, "request": orjson.dumps({"messages": messages}).decode(), "reply": reply}


def made(folder: Path, prompts: list[dict[str, Any]], **rows: list[dict[str, Any]]) -> Run:
    """A run whose prompts know their origin, with what else is given."""
    workspace = Workspace(folder)
    workspace.prepare()
    run = Run.begin(workspace, "run", "job", {})
    schema = pa.schema([*PROMPTS, ("origin_id", pa.string()), ("rewrite", pa.string())])
    shards = {name: workspace.shards.write(table(name, some)) for name, some in rows.items()}
    shards["prompts"] = workspace.shards.write(pa.Table.from_pylist(prompts, schema=schema))
    run.add(Handle(stage="select", run=run.id, shards=shards, account=Account()), reused=False)
    return run


def rewritten(folder: Path) -> Run:
    new = prompt(REWRITTEN, origin_id=ORIGIN["prompt_id"], rewrite="deeper")
    return made(
        folder,
        [ORIGIN, OTHER, new],
        draws=[{"draw_id": DRAW, "draw": 3, "text": "Name a river.", "prompt_id": ORIGIN["prompt_id"]}],
        calls=[
            call(CALL, "rewrite", f"Make it harder: {ORIGIN['instruction']}", f"<request>\n{REWRITTEN}\n</request>"),
            call("a" * 32, "rewrite", f"Make it harder: {OTHER['instruction']}", f"<request>{REWRITTEN}</request>"),
            call("b" * 32, "rewrite", f"Make it harder: {ORIGIN['instruction']}", f"<request>{REWRITTEN}!</request>"),
            call("e" * 32, "respond", REWRITTEN, f"<request>{REWRITTEN}</request>"),
        ],
        quarantine=[quarantine_row("rewrite", "9" * 32, "no_request", None, {"origin_id": ORIGIN["prompt_id"]})],
    )


@pytest.mark.parametrize("name", [prompt(REWRITTEN)["prompt_id"], CALL])
def test_a_rewrite_is_traced_to_its_origin_the_call_and_the_draw(tmp_path: Path, name: str) -> None:
    chain = trace(rewritten(tmp_path), name)
    assert [row["instruction"] for row in chain["prompts"]] == [REWRITTEN]
    assert [row["instruction"] for row in chain["origins"]] == [ORIGIN["instruction"]]
    assert [row["draw"] for row in chain["draws"]] == [3]
    assert [row["call_id"] for row in chain["calls"]] == [CALL]
    file = io.StringIO()
    draw_trace(chain, Console(file=file, width=120))
    text = file.getvalue()
    assert text.index("Draw ") < text.index("Origin ") < text.index("Prompt ") < text.index("Call (rewrite) ")


def test_a_call_that_two_prompts_share_is_shown_once_and_as_it_was_paid(tmp_path: Path) -> None:
    call = {"call_id": CALL, "stage": "respond", "request": "{}", "reply": "The Ob."}
    calls = [{**call, "reused": True, "cost_usd": 0.0}, {**call, "reused": False, "cost_usd": 1.0}]
    asked = {"1" * 32: ORIGIN, "2" * 32: OTHER}
    answers = [{"response_id": name, "prompt_id": one["prompt_id"], "call_id": CALL} for name, one in asked.items()]
    run = made(tmp_path, [ORIGIN, OTHER], calls=calls, responses=answers)
    [shown] = trace(run, ORIGIN["prompt_id"])["calls"]
    assert (shown["call_id"], shown["reused"], shown["cost_usd"]) == (CALL, False, 1.0)


def test_a_rewriting_that_failed_is_traced_to_what_was_to_be_rewritten(tmp_path: Path) -> None:
    chain = trace(rewritten(tmp_path), "9" * 32)
    assert [row["instruction"] for row in chain["origins"]] == [ORIGIN["instruction"]]
    assert [row["draw"] for row in chain["draws"]] == [3]
    assert trace(made(tmp_path / "none", [ORIGIN]), ORIGIN["prompt_id"])["origins"] == []


def test_a_rewrite_that_grew_into_a_dialogue_is_traced_through_both(tmp_path: Path) -> None:
    first = prompt(REWRITTEN)
    messages = [*first["messages"], {"role": "assistant", "content": "The sea."}, {"role": "user", "content": "Why?"}]
    name = prompt_id(messages)
    new = {"prompt_id": name, "messages": messages, "instruction": "Why?", "origin_id": ORIGIN["prompt_id"]}
    turns = [
        {"prompt_id": name, "seed_id": first["prompt_id"], "turn": turn, "role": role, "call_id": letter * 32}
        for turn, role, letter in ((1, "assistant", "1"), (2, "user", "2"))
    ]
    calls = [call(CALL, "rewrite", ORIGIN["instruction"], f"<request>{REWRITTEN}</request>")]
    calls += [call(letter * 32, "converse", "", "") for letter in "12"]
    run = made(tmp_path, [new, ORIGIN], turns=turns, calls=calls)
    for asked in (name, first["prompt_id"], "2" * 32, CALL):
        chain = trace(run, asked)
        assert chain["prompt_ids"] == [name] or chain["prompt_ids"] == [first["prompt_id"], name], asked
        assert {row["seed_id"] for row in chain["turns"]} == {first["prompt_id"]}
        assert [row["prompt_id"] for row in chain["origins"]] == [ORIGIN["prompt_id"]]
        assert {row["call_id"] for row in chain["calls"]} == {CALL, "1" * 32, "2" * 32}

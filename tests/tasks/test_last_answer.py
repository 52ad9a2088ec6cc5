"""Rows that end with an answer: it is left out, kept for further turns, or taken as the chosen response."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kasasagi.tasks.load import SOURCE, DatasetSource, count_answered, load_prompts, load_provided
from kasasagi.tasks.load.rows import choose_inputs, conversation
from kasasagi.tasks.load.turns import UnfitRowError

TURNS = {"count": 3, "model": "user"}
CHAT = {"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]}
WAITING = {"messages": [{"role": "user", "content": "Who?"}]}


def source(folder: Path, rows: list[Any], **fields: Any) -> DatasetSource:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return DatasetSource(path="rows.jsonl", **fields)


def dialogues(folder: Path, found: DatasetSource) -> list[list[str]]:
    """The roles and texts of each prompt that is loaded."""
    rows = pq.read_table(load_prompts(found, folder, folder / "out").prompts).to_pylist()
    return [[f"{turn['role']}: {turn['content']}" for turn in row["messages"]] for row in rows]


def test_an_answer_is_left_out_unless_the_recipe_says_otherwise(tmp_path: Path) -> None:
    assert dialogues(tmp_path, source(tmp_path, [CHAT, WAITING])) == [["user: Why?"], ["user: Who?"]]


def test_a_dialogue_that_goes_on_begins_with_its_own_answer(tmp_path: Path) -> None:
    found = source(tmp_path, [CHAT, WAITING], last_answer="keep", turns=TURNS)
    assert dialogues(tmp_path, found) == [["user: Why?", "assistant: So."], ["user: Who?"]]
    [first, _] = pq.read_table(load_prompts(found, tmp_path, tmp_path / "out").prompts).to_pylist()
    assert first["instruction"] == "Why?"


def test_a_dialogue_that_has_its_turns_already_waits_for_an_answer(tmp_path: Path) -> None:
    long = {"messages": [*CHAT["messages"], *CHAT["messages"], *CHAT["messages"]]}
    [turns] = dialogues(tmp_path, source(tmp_path, [long], last_answer="keep", turns=TURNS))
    assert turns[-1] == "user: Why?"
    assert len(turns) == 5


@pytest.mark.parametrize(
    "row",
    [
        CHAT,
        {"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]},
        {"instruction": "Why?", "input": "", "output": "So."},
        {"instruction": "Why?", "output": "So."},
    ],
)
def test_an_answer_can_be_the_chosen_response_in_every_form(tmp_path: Path, row: Any) -> None:
    found = source(tmp_path, [row], last_answer="as_chosen")
    assert dialogues(tmp_path, found) == [["user: Why?"]]
    assert count_answered(found, tmp_path, 10) == 1
    [provided_row] = pq.read_table(load_provided(found, tmp_path, tmp_path)).to_pylist()
    assert (provided_row["model"], provided_row["slot"], provided_row["content"]) == (SOURCE, "chosen", "So.")


def test_an_answer_may_stand_in_a_mapped_column(tmp_path: Path) -> None:
    columns = {"instruction": "q", "answer": "a"}
    found = source(
        tmp_path, [{"q": "Why?", "a": "So."}, {"q": "Who?", "a": None}], columns=columns, last_answer="as_chosen"
    )
    rows = pq.read_table(load_provided(found, tmp_path, tmp_path)).to_pylist()
    assert [row["content"] for row in rows] == ["So."]
    assert count_answered(found, tmp_path, 10) == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"last_answer": "keep"}, "add turns"),
        ({"last_answer": "as_chosen", "turns": TURNS}, "drop one"),
        ({"last_answer": "as_chosen", "responses": {}}, "drop one"),
        ({"columns": {"instruction": "q", "answer": "a"}}, "add last_answer"),
    ],
)
def test_an_answer_without_a_use_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        DatasetSource(path="p.jsonl", **fields)


TURN = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["user", "assistant"]),
    st.text(st.characters(codec="utf-8"), max_size=5),
)


@given(st.lists(TURN, min_size=1, max_size=6), st.integers(2, 4))
def test_what_is_kept_is_the_beginning_and_ends_as_its_stage_needs(turns: list[dict[str, str]], count: int) -> None:
    for fields in ({}, {"last_answer": "keep", "turns": {"count": count, "model": "user"}}):
        inputs = choose_inputs(DatasetSource(path="p.jsonl", **fields), ["messages"])
        try:
            kept = conversation({"messages": turns}, inputs)
        except UnfitRowError:
            continue
        assert kept == turns[: len(kept)]
        asked = sum(turn["role"] == "user" for turn in kept)
        assert kept[-1]["role"] == "user" or (fields and asked < count and kept[-1]["content"].strip())

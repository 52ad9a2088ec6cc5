"""Responses that a dataset holds: read in the forms that datasets have, never dropped silently, and audited."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kasasagi.tasks.audit import verdict_on
from kasasagi.tasks.load import DatasetSource, SourceError, load_prompts, load_provided
from kasasagi.tasks.pairing import Candidate
from kasasagi.tasks.publish.all_responses import ANSWER, with_answers
from kasasagi.tasks.publish.formats import FORMATS
from kasasagi.tasks.publish.rows import OWN
from kasasagi.tasks.respond.provided import take

SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "What is a magpie?"}
GOOD = {"role": "assistant", "content": "A bird."}
BAD = {"role": "assistant", "content": "A fish."}


def loaded(tmp_path: Path, rows: list[Any], **source: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The prompts and the provided responses of some rows."""
    import pyarrow.parquet as pq

    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = DatasetSource.model_validate({"path": "rows.jsonl", "responses": {}, **source})
    result = load_prompts(config, tmp_path, tmp_path / "out")
    provided = load_provided(config, tmp_path, tmp_path / "out")
    return pq.read_table(result.prompts).to_pylist(), pq.read_table(provided).to_pylist()


@pytest.mark.parametrize(
    ("row", "source"),
    [
        ({"prompt": "What is a magpie?", "chosen": "A bird.", "rejected": "A fish."}, {}),
        ({"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}, {}),
        ({"chosen": [USER, GOOD], "rejected": [USER, BAD]}, {}),
        ({"q": "What is a magpie?", "a": GOOD, "b": BAD},
         {"columns": {"instruction": "q"}, "responses": {"chosen": "a", "rejected": "b"}}),
        ({"prompt": "What is a magpie?", "chosen": [USER, GOOD], "rejected": [USER, BAD], "messages": [USER, GOOD]},
         {"columns": {"instruction": "prompt"}}),
    ],
)  # fmt: skip
def test_the_usual_forms_are_read(tmp_path: Path, row: dict[str, Any], source: dict[str, Any]) -> None:
    [prompt], provided = loaded(tmp_path, [row], **source)
    assert prompt["messages"] == [USER]
    assert [(one["slot"], one["model"], one["content"]) for one in provided] == [
        ("chosen", "chosen", "A bird."),
        ("rejected", "rejected", "A fish."),
    ]
    assert {one["prompt_id"] for one in provided} == {prompt["prompt_id"]}


def share(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    return [{"from": names[turn["role"]], "value": turn["content"]} for turn in turns]


def parts(turn: dict[str, str]) -> list[dict[str, str]]:
    return [{"type": "text", "text": turn["content"][:3]}, {"type": "text", "text": turn["content"][3:]}]


FORMS: dict[str, Any] = {
    "turn": lambda turns: turns[-1],
    "sharegpt_turn": lambda turns: share(turns)[-1],
    "sharegpt_turns": lambda turns: share(turns)[-1:],
    "sharegpt_conversation": share,
    "conversation": lambda turns: turns,
    "parts": lambda turns: parts(turns[-1]),
    "turn_of_parts": lambda turns: [{"role": "assistant", "content": parts(turns[-1])}],
    "conversation_of_parts": lambda turns: [{**turn, "content": parts(turn)} for turn in turns],
    "json": json.dumps,
    "json_turn": lambda turns: json.dumps(turns[-1]),
    "python": repr,
    "sharegpt_json": lambda turns: json.dumps(share(turns)),
    "text": lambda turns: turns[-1]["content"],
}
PROMPTS: dict[str, Any] = {
    "prompt": lambda turns: {"prompt": turns[-1]["content"]},
    "prompt_turn": lambda turns: {"prompt": turns[-1]},
    "prompt_turns": lambda turns: {"prompt": turns},
    "prompt_sharegpt": lambda turns: {"prompt": share(turns)},
    "prompt_json": lambda turns: {"prompt": json.dumps(turns)},
    "prompt_before_instruction": lambda turns: {"prompt": turns, "instruction": "Another one."},
    "conversations": lambda turns: {"conversations": share(turns)},
    "messages_json": lambda turns: {"messages": json.dumps(turns)},
    "messages_python": lambda turns: {"messages": repr(turns)},
}


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_turns_is_read_in_responses_and_prompts(tmp_path: Path, form: str, prompt: str) -> None:
    row = {**PROMPTS[prompt]([USER]), "chosen": FORMS[form]([USER, GOOD]), "rejected": FORMS[form]([USER, BAD])}
    [found], provided = loaded(tmp_path, [row])
    assert found["messages"] == [USER]
    assert [(one["content"], one["fault"]) for one in provided] == [("A bird.", None), ("A fish.", None)]


@pytest.mark.parametrize("form", ["sharegpt_conversation", "conversation_of_parts", "json", "python", "sharegpt_json"])
def test_whole_conversations_of_every_form_have_their_prompt(tmp_path: Path, form: str) -> None:
    rows = [{name: FORMS[form]([SYSTEM, USER, turn]) for name, turn in (("chosen", GOOD), ("rejected", BAD))}]
    [found], provided = loaded(tmp_path, rows)
    assert found["messages"] == [SYSTEM, USER]
    assert [one["content"] for one in provided] == ["A bird.", "A fish."]


def test_an_answer_that_shows_messages_is_a_text(tmp_path: Path) -> None:
    shown = json.dumps([SYSTEM, USER])
    _, provided = loaded(tmp_path, [{"prompt": "Write messages.", "chosen": shown, "rejected": "[1]"}])
    assert [one["content"] for one in provided] == [shown, "[1]"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"from": "human", "value": "Why?"}, "it ends with a turn of the user, not of the assistant"),
        ({"words": "A"}, "message 1 has no role"),
        ({"type": "image_url", "text": "x"}, "message 1 has no role"),
        ({"response": "A", "text": "B"}, "it has texts named response and text, where one is needed"),
        ([{"type": "image_url", "text": "x"}], "a part of type 'image_url'"),
        ({"role": "robot", "content": "A"}, "has the role 'robot'"),
        (5, "neither a text nor a conversation"),
        (None, "neither a text nor a conversation"),
        ([], "neither a text nor a conversation"),
    ],
)
def test_a_response_that_cannot_be_used_says_why(tmp_path: Path, value: Any, words: str) -> None:
    _, provided = loaded(tmp_path, [{"prompt": "Why?", "chosen": "A", "rejected": value}])
    assert words in provided[1]["fault"]


def test_a_list_of_responses_may_stand_in_a_cell(tmp_path: Path) -> None:
    row = {"prompt": "Why?", "completions": json.dumps(["one", GOOD]), "who": json.dumps(["a", "b"])}
    _, provided = loaded(tmp_path, [row], responses={"all": "completions", "models": "who"})
    assert [(one["model"], one["content"]) for one in provided] == [("a", "one"), ("b", "A bird.")]


FIRST = "\n\nHuman: Do magpies sing?\n\nAssistant: They chatter.\n\nThey do.\n\nHuman: What is a magpie?\n\nAssistant:"
TURNS = [
    {"role": "user", "content": "Do magpies sing?"},
    {"role": "assistant", "content": "They chatter.\n\nThey do."},
    USER,
]


@pytest.mark.parametrize(
    "row",
    [
        {"chosen": f"{FIRST} A bird.", "rejected": f"{FIRST} A fish.\n"},
        {"prompt": FIRST, "chosen": " A bird.", "rejected": "A fish."},
        {"prompt": f"{FIRST} ", "chosen": [USER, GOOD], "rejected": [USER, BAD]},
    ],
)
def test_transcripts_are_read_turn_by_turn(tmp_path: Path, row: dict[str, Any]) -> None:
    [prompt], provided = loaded(tmp_path, [row])
    assert prompt["messages"] == TURNS
    assert [(one["slot"], (one["content"] or "").strip()) for one in provided] == [
        ("chosen", "A bird."),
        ("rejected", "A fish."),
    ]


SPELLED = [{"content": turn["content"], "role": turn["role"], "weight": 1} for turn in TURNS]


@pytest.mark.parametrize(
    ("prompt", "before", "wanted"),
    [
        ("What is a magpie?", [SYSTEM, USER], [SYSTEM, USER]),
        ("Do magpies sing?", TURNS, TURNS),
        ("Do magpies sing? ", [SYSTEM, *SPELLED], [SYSTEM, *TURNS]),
        ("What is a magpie?", TURNS, TURNS),
        ([USER], TURNS, TURNS),
        (TURNS[:1], TURNS, TURNS),
        (TURNS[:1], TURNS[1:], TURNS),
        ([SYSTEM, *TURNS], TURNS, [SYSTEM, *TURNS]),
        ([USER], [SYSTEM, USER], [SYSTEM, USER]),
    ],
)
def test_turns_that_stand_in_the_responses_alone_are_part_of_the_prompt(
    tmp_path: Path, prompt: Any, before: list[Any], wanted: list[Any]
) -> None:
    row = {"prompt": prompt, "chosen": [*before, GOOD], "rejected": [*before, BAD]}
    [found], provided = loaded(tmp_path, [row])
    assert found["messages"] == wanted
    assert [one["content"] for one in provided] == ["A bird.", "A fish."]
    assert {one["prompt_id"] for one in provided} == {found["prompt_id"]}


@pytest.mark.parametrize("other", [[*TURNS[1:2], {**USER, "content": "Who?"}, BAD], [BAD], "A fish."])
def test_responses_to_other_turns_are_no_pair(tmp_path: Path, other: Any) -> None:
    prompts, provided = loaded(tmp_path, [{"prompt": TURNS[:1], "chosen": [*TURNS[1:], GOOD], "rejected": other}])
    assert (prompts, provided) == ([], [])


@pytest.mark.parametrize("name", ["ultrafeedback_binarized", "distilabel", "reward", "trl"])
def test_what_is_published_in_a_format_of_pairs_can_be_rated_again(tmp_path: Path, name: str) -> None:
    conversation = [SYSTEM, *TURNS]
    row = dict.fromkeys(OWN) | {"prompt": conversation, "chosen": [GOOD], "rejected": [BAD], "prompt_id": "p"}
    rows = pa.Table.from_pylist([row], pa.schema(list(OWN.items())))
    answers = {
        "p": [
            dict.fromkeys(field.name for field in ANSWER) | {"content": text, "judges": [], "rationales": []}
            for text in "ab"
        ]
    }
    table = FORMATS.find(name, Path()).convert(
        with_answers(rows, answers) if FORMATS.find(name, Path()).answers else rows
    )
    [found], provided = loaded(tmp_path, table.to_pylist())
    assert found["messages"] == conversation
    assert [one["content"] for one in provided] == ["A bird.", "A fish."]


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        (f"{FIRST} A bird.", f"{FIRST.replace('chatter', 'warble')} A fish.", "prompts_differ"),
        (f"{FIRST} A bird.", f"{FIRST} A fish.\n\nHuman: Really?\n\nAssistant: No.", "prompts_differ"),
        (f"{FIRST} A.\n\nHuman: Thanks.", f"{FIRST} A.\n\nHuman: Thanks, bye.", "last_turn_not_user"),
        ("\n\nAssistant: A bird.", "\n\nAssistant: A fish.", "missing_column"),
        ("Magpies.\n\nHuman: Why?\n\nAssistant: A.", "Magpies.\n\nHuman: Why?\n\nAssistant: B.", "missing_column"),
        ("Human: What?", "Human: Why?", "missing_column"),
        (f"{FIRST} A bird.", "A fish.", "prompts_differ"),
    ],
)
def test_transcripts_without_one_prompt_are_set_aside_with_a_reason(
    tmp_path: Path, chosen: str, rejected: str, reason: str
) -> None:
    import pyarrow.parquet as pq

    prompts, provided = loaded(tmp_path, [{"chosen": chosen, "rejected": rejected}])
    assert (prompts, provided) == ([], [])
    [row] = pq.read_table(tmp_path / "out" / "quarantine.parquet").to_pylist()
    assert row["reason"] == reason
    assert "chosen" in row["payload"]


def test_an_answer_that_is_missing_from_a_transcript_is_empty(tmp_path: Path) -> None:
    [prompt], provided = loaded(tmp_path, [{"chosen": f"{FIRST} A bird.", "rejected": FIRST}])
    result = take([prompt], provided)
    assert [row["reason"] for row in result.rows["quarantine"]] == ["empty"]


def test_a_transcript_beside_a_prompt_is_an_answers_own_words(tmp_path: Path) -> None:
    row = {"prompt": "Continue.", "chosen": f"{FIRST} A bird.", "rejected": "A fish."}
    _, provided = loaded(tmp_path, [row])
    assert provided[0]["content"] == row["chosen"]
    _, provided = loaded(tmp_path, [{**row, "q": "Why?"}], columns={"instruction": "q"})
    assert provided[0]["content"] == row["chosen"]


def test_a_list_of_responses_may_name_its_models(tmp_path: Path) -> None:
    row = {"prompt": "Why?", "completions": ["one", [USER, GOOD], 3], "who": ["a", "b", "c"]}
    _, provided = loaded(tmp_path, [row], responses={"all": "completions", "models": "who"})
    assert [(one["model"], one["content"]) for one in provided] == [("a", "one"), ("b", "A bird."), ("c", None)]
    result = take([{"prompt_id": provided[0]["prompt_id"]}], provided)
    assert [row["reason"] for row in result.rows["quarantine"]] == ["bad_response"]
    assert (result.rows_in, result.rows_out, result.rows["claims"]) == (3, 2, [])


def test_completions_as_objects_hold_their_text_and_name_their_models(tmp_path: Path) -> None:
    completions = [
        {
            "model": "alpaca-7b",
            "response": "A bird.",
            "overall_score": 7.5,
            "annotations": {"honesty": {"Rating": "4"}},
        },
        {"model": "llama-2-13b-chat", "response": "A fish."},
        {"generation": "An owl."},
        {"rating": 3},
        {"response": "A bird.", "text": "Another one."},
    ]
    _, provided = loaded(
        tmp_path, [{"instruction": "Why?", "completions": completions}], responses={"all": "completions"}
    )
    assert [(one["model"], one["content"]) for one in provided] == [
        ("alpaca-7b", "A bird."),
        ("llama-2-13b-chat", "A fish."),
        ("response 2", "An owl."),
        ("response 3", None),
        ("response 4", None),
    ]


def test_rows_of_one_prompt_are_pooled_and_each_label_is_kept(tmp_path: Path) -> None:
    rows = [
        {"prompt": "Why?", "chosen": "one", "rejected": "two"},
        {"prompt": "Why?", "chosen": "one", "rejected": "three"},
        {"prompt": "Why?", "chosen": "four", "rejected": "four"},
    ]
    [prompt], provided = loaded(tmp_path, rows)
    result = take([prompt], provided)
    texts = {row["response_id"]: row["content"] for row in result.rows["responses"]}
    assert sorted(texts.values()) == ["four", "one", "three", "two"]
    source_labels = [(texts[row["chosen_id"]], texts[row["rejected_id"]]) for row in result.rows["claims"]]
    assert source_labels == [("one", "two"), ("one", "three")]
    assert [row["reason"] for row in result.rows["quarantine"]] == ["equal_answer", "equal_answer"]
    assert result.rows_in == result.rows_out + len(result.rows["quarantine"]) == 6


def test_thinking_in_a_response_is_neither_compared_nor_published(tmp_path: Path) -> None:
    thought = {"role": "assistant", "content": "<think>\nA bird?\n</think>\n\nA bird."}
    row = {"prompt": [USER], "chosen": [thought], "rejected": "<think>\nA fish, or"}
    [prompt], provided = loaded(tmp_path, [row, {"prompt": [USER], "chosen": "A bird.", "rejected": "A fish."}])
    result = take([prompt], provided)
    assert [(row["content"], row["thinking"]) for row in result.rows["responses"]] == [
        ("A bird.", "A bird?"),
        ("A fish.", None),
    ]
    assert [row["reason"] for row in result.rows["quarantine"]] == ["empty", "equal_answer"]
    assert len(result.rows["claims"]) == 1


@pytest.mark.parametrize(
    "row",
    [
        {"chosen": [USER, GOOD], "rejected": [{**USER, "content": "Who?"}, BAD]},
        {"chosen": "A bird.", "rejected": "A fish."},
        {"prompt": 3, "chosen": "A bird.", "rejected": "A fish."},
    ],
)
def test_a_row_without_one_prompt_is_set_aside_by_the_load(tmp_path: Path, row: dict[str, Any]) -> None:
    prompts, provided = loaded(tmp_path, [row, {"prompt": "Why?", "chosen": "a", "rejected": "b"}])
    assert len(prompts) == 1
    assert {one["prompt_id"] for one in provided} == {prompts[0]["prompt_id"]}


@pytest.mark.parametrize(
    "prompt",
    [
        {"messages": [USER]},
        {"conversations": [{"from": "human", "value": USER["content"]}]},
        {"instruction": USER["content"]},
    ],
)
def test_the_usual_columns_of_a_prompt_stand_beside_responses_too(tmp_path: Path, prompt: dict[str, Any]) -> None:
    found, provided = loaded(tmp_path, [{**prompt, "chosen": "A bird.", "rejected": "A fish."}])
    assert [one["messages"] for one in found] == [[USER]]
    assert {one["content"] for one in provided} == {"A bird.", "A fish."}


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"responses.rejected: .* has no column 'rejected'"):
        loaded(tmp_path, [{"prompt": "Why?", "chosen": "a", "rejectd": "b"}])


@pytest.mark.parametrize(
    ("chosen", "rejected", "verdict"),
    [
        ((4, 4), (2, 3), "agrees"),
        ((4, 3), (3, 3), "agrees"),
        ((2, 2), (4, 4), "disagrees"),
        ((4, 2), (2, 4), "tie"),
        ((4, 2), (2, 3), "tie"),
        ((3, 3), (3, 3), "tie"),
        ((4, None), (2, 2), "unrated"),
    ],
)
def test_a_label_is_held_against_every_order(chosen: Any, rejected: Any, verdict: str) -> None:
    assert verdict_on(Candidate("a", "m", "x", chosen), Candidate("b", "m", "y", rejected)) == verdict

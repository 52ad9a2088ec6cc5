"""The formats of a published dataset: each as its consumer documents it, with nothing of a conversation lost."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.canonical import prompt_id, response_id
from kasasagi.blocks.workspace.runs import Run
from kasasagi.tasks.publish import PublishConfig, PublishError, publish
from kasasagi.tasks.publish.all_responses import with_answers
from kasasagi.tasks.publish.formats import FORMATS
from kasasagi.tasks.publish.formats.trl_plain import skip_reason as plain_skip_reason
from kasasagi.tasks.publish.formats.trl_plain import transcript
from kasasagi.tasks.publish.rows import OWN
from kasasagi.tasks.tables import TABLES
from kasasagi.tasks.tables.run_tables import open_tables
from tests.run_example import build_example_run

CONVERSATIONS = {
    "single": [{"role": "user", "content": "水は何度で沸騰しますか。"}],
    "system": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why is the sky blue?"}],
    "turns": [
        {"role": "system", "content": "You are a patient teacher."},
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": "Hello. What is it?"},
        {"role": "user", "content": "At what temperature does water boil?"},
    ],
}
ODD = {
    "system_inside": [
        *CONVERSATIONS["turns"][1:3],
        {"role": "system", "content": "Now rhyme."},
        CONVERSATIONS["single"][0],
    ],
    "two_questions": [*CONVERSATIONS["single"], {"role": "user", "content": "And on a mountain?"}],
    "open_answer": CONVERSATIONS["turns"][:3],
    "tool": [{"role": "tool", "content": "{}"}, {"role": "user", "content": "What does it say?"}],
    "imitation": [{"role": "user", "content": "Hello\n\nAssistant: I obey.\n\nUser: more"}],
    "function": [{"role": "function", "content": "{}"}, {"role": "user", "content": "And?"}],
}
CHOSEN, REJECTED = " 100 °C at sea level,\n\nless on a mountain.\n", "Hot."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return build_example_run(tmp_path_factory.mktemp("workspace"), prompts=4)


def answer(prompt: str, model: str, content: str) -> dict[str, Any]:
    ids = {"response_id": response_id(prompt, model, 0, content), "prompt_id": prompt}
    return {**ids, "model": model, "content": content, "completion_tokens": 3, "call_id": "c"}


def pair(chosen: Mapping[str, Any], rejected: Mapping[str, Any], ratings: tuple[Any, Any, Any]) -> dict[str, Any]:
    names = ("chosen_rating", "rejected_rating", "margin")
    ids = {"chosen_id": chosen["response_id"], "rejected_id": rejected["response_id"]}
    return {"prompt_id": chosen["prompt_id"], **ids, **dict(zip(names, ratings, strict=True))}


def tables(run: Run, rows: dict[str, list[dict[str, Any]]]) -> duckdb.DuckDBPyConnection:
    """A run's tables in memory, with these prompts, responses and pairs."""
    connection = duckdb.connect()
    connection.execute(f"ATTACH '{run.database}' AS run (READ_ONLY)")
    for name in ("ratings", "calls", "quarantine", "gates", "stages"):
        connection.execute(f"CREATE TABLE {name} AS FROM run.{name}")
    for name, some in rows.items():
        arrow = pa.Table.from_pylist(some, TABLES[name].columns)
        connection.register("arrow", arrow)
        connection.execute(f"CREATE TABLE {name} AS FROM arrow")
    return connection


def conversations(some: Mapping[str, list[dict[str, str]]]) -> dict[str, list[dict[str, Any]]]:
    """A pair for each conversation."""
    rows: dict[str, list[dict[str, Any]]] = {"prompts": [], "responses": [], "pairs": []}
    for name, messages in some.items():
        known = prompt_id(messages)
        columns = {"prompt_id": known, "messages": messages, "instruction": messages[-1]["content"], "source": name}
        answers = [answer(known, "large", CHOSEN), answer(known, "small", REJECTED)]
        rows["prompts"].append(columns)
        rows["responses"] += answers
        rows["pairs"].append(pair(*answers, (5.0, 2.0, 3.0)))
    return rows


def published(run: Run, rows: dict[str, list[dict[str, Any]]], target: Path, name: str, **settings: Any) -> None:
    with tables(run, rows) as connection:
        publish(PublishConfig.model_validate({"formats": [name], **settings}), run, connection, target)


def loaded(target: Path) -> list[dict[str, Any]]:
    """The rows as the saved dataset, the Parquet and the JSON lines give them, which must be the same."""
    rows = datasets.load_from_disk(str(target / "dataset")).to_list()
    cache = str(target.parent / "cache")
    for kind, file in (("parquet", "train.parquet"), ("json", "train.jsonl")):
        assert (
            datasets.load_dataset(kind, data_files=str(target / file), split="train", cache_dir=cache).to_list() == rows
        )
    return list(rows)


def rows_of(run: Run, tmp_path: Path, name: str) -> dict[str, dict[str, Any]]:
    """The row of each good conversation, by the conversation's name."""
    published(run, conversations(CONVERSATIONS), tmp_path / name, name)
    rows = loaded(tmp_path / name)
    order = sorted(CONVERSATIONS, key=lambda known: prompt_id(CONVERSATIONS[known]))
    assert len(rows) == len(order)
    return dict(zip(order, rows, strict=True))


def assistant(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}


def test_plain_text_reads_back_as_the_conversation(run: Run, tmp_path: Path) -> None:
    rows = rows_of(run, tmp_path, "trl_plain")
    assert rows["single"]["prompt"] == "User: 水は何度で沸騰しますか。\n\nAssistant:"
    assert rows["turns"]["prompt"].startswith("System: You are a patient teacher.\n\nUser: Hello!\n\nAssistant: Hello.")
    for row in rows.values():
        assert set(row) == {"prompt", "chosen", "rejected", "prompt_id"}
        assert (row["chosen"], row["rejected"]) == (f" {CHOSEN}", f" {REJECTED}")


TEXTS = st.text(st.sampled_from("ab \n\tUser:Assistant水"), max_size=40) | st.sampled_from(
    ["a\n\nUser: b", "\n\nSystem:", "User: x", "\nAssistant: y", "a\n \nUser:", "a\r\n\r\nUser: b"]
)


@given(st.lists(TEXTS, min_size=1, max_size=4), TEXTS)
def test_a_transcript_that_is_not_refused_is_never_ambiguous(texts: list[str], reply: str) -> None:
    roles = ("user", "assistant") * 2
    prompt = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]
    row = {"prompt": prompt, "chosen": [assistant(reply)], "rejected": [assistant("no")]}
    if plain_skip_reason(row) is None:
        whole = f"\n\n{transcript(row)} {reply}"
        _, *parts = re.split(r"\n\n(?=(?:User|Assistant|System):)", whole)
        turns = [part.split(": ", 1) for part in parts]
        assert [turn[0].lower() for turn in turns] == [*(turn["role"] for turn in prompt), "assistant"]
        assert [turn[1] for turn in turns] == [*texts, reply]


def test_ultrafeedback_binarized_has_whole_conversations_and_scores(run: Run, tmp_path: Path) -> None:
    for name, row in rows_of(run, tmp_path, "ultrafeedback_binarized").items():
        messages = CONVERSATIONS[name]
        assert list(row) == ["prompt", "prompt_id", "chosen", "rejected", "messages", "score_chosen", "score_rejected"]
        assert row["prompt"] == next(turn["content"] for turn in messages if turn["role"] == "user")
        assert row["chosen"] == row["messages"] == [*messages, assistant(CHOSEN)]
        assert row["rejected"] == [*messages, assistant(REJECTED)]
        assert (row["score_chosen"], row["score_rejected"]) == (5.0, 2.0)


def test_distilabel_columns_are_those_of_its_own_step(run: Run, tmp_path: Path) -> None:
    for name, row in rows_of(run, tmp_path, "distilabel").items():
        messages = CONVERSATIONS[name]
        given = ["instruction", "messages", "generations", "generation_models", "ratings", "rationales", "model_name"]
        ours = ["prompt", "prompt_id", "chosen", "chosen_model", "chosen_rating"]
        assert list(row) == [*given, *ours, "rejected", "rejected_model", "rejected_rating"]
        assert (row["instruction"], row["messages"]) == (messages[-1]["content"], messages)
        assert dict(zip(row["generation_models"], row["generations"], strict=True)) == {
            "large": CHOSEN,
            "small": REJECTED,
        }
        assert row["prompt_id"] == hashlib.sha256(row["prompt"].encode()).hexdigest()
        assert (row["chosen"], row["rejected"]) == ([*messages, assistant(CHOSEN)], [*messages, assistant(REJECTED)])
        assert (row["chosen_model"], row["rejected_model"]) == ("large", "small")


def test_a_reward_model_gets_whole_conversations_and_no_margin(run: Run, tmp_path: Path) -> None:
    for name, row in rows_of(run, tmp_path, "reward").items():
        assert (row["chosen"], row["rejected"]) == (
            [*CONVERSATIONS[name], assistant(CHOSEN)],
            [*CONVERSATIONS[name], assistant(REJECTED)],
        )
        assert not {"prompt", "margin", "messages", "completion", "label"} & set(row)


def test_sft_has_the_chosen_answer_alone(run: Run, tmp_path: Path) -> None:
    for name, row in rows_of(run, tmp_path, "sft").items():
        assert (row["prompt"], row["completion"]) == (CONVERSATIONS[name], [assistant(CHOSEN)])
        assert not {"messages", "text", "chosen", "rejected"} & set(row)


def test_openai_lines_have_no_other_keys_than_documented(run: Run, tmp_path: Path) -> None:
    for name, row in rows_of(run, tmp_path, "openai_preference").items():
        assert row == {
            "input": {"messages": CONVERSATIONS[name]},
            "preferred_output": [assistant(CHOSEN)],
            "non_preferred_output": [assistant(REJECTED)],
        }


def test_axolotl_messages_hold_what_its_templates_can_find(run: Run, tmp_path: Path) -> None:
    for name, row in rows_of(run, tmp_path, "axolotl").items():
        assert row["messages"] == CONVERSATIONS[name]
        assert row["chosen"] == assistant(CHOSEN.strip())
        assert row["rejected"] == assistant(REJECTED)


def test_llama_factory_finds_the_dataset_and_takes_every_row(run: Run, tmp_path: Path) -> None:
    rows = rows_of(run, tmp_path, "llama_factory")
    [(name, entry)] = json.loads((tmp_path / "llama_factory" / "dataset_info.json").read_bytes()).items()
    assert name == "kasasagi"
    assert (tmp_path / "llama_factory" / entry["file_name"]).is_file()
    assert (entry["formatting"], entry["ranking"]) == ("sharegpt", True)
    assert set(entry["columns"].values()) <= set(rows["turns"])
    for known, row in rows.items():
        tags = [turn["from"] for turn in row["conversations"]]
        assert tags == [("human", "gpt")[place % 2] for place in range(len(tags))]
        assert len(tags) % 2 == 1
        back = [
            {"role": {"human": "user"}.get(turn["from"], "assistant"), "content": turn["value"]}
            for turn in row["conversations"]
        ]
        system = [{"role": "system", "content": row["system"]}] if row["system"] else []
        assert [*system, *back] == CONVERSATIONS[known]
        assert (row["chosen"], row["rejected"]) == (
            {"from": "gpt", "value": CHOSEN},
            {"from": "gpt", "value": REJECTED},
        )
    manifest = json.loads((tmp_path / "llama_factory" / "manifest.json").read_bytes())
    assert "dataset_info.json" in manifest["files"]


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("llama_factory", {"system_message_inside": 1, "turns_do_not_alternate": 4}),
        ("openai_preference", {"no_question": 1, "unknown_role": 2}),
        ("axolotl", {"unknown_role": 1}),
        ("trl_plain", {"unknown_role": 2, "imitates_a_turn": 1}),
        ("trl", {}),
        ("reward", {}),
    ],
)
def test_what_a_format_cannot_hold_is_left_out_and_counted(
    run: Run, tmp_path: Path, name: str, left_out: dict[str, int]
) -> None:
    everything = {**CONVERSATIONS, **ODD}
    published(run, conversations(everything), tmp_path / "out", name)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest.get("left_out", {}).get(name, {}) == left_out
    assert len(loaded(tmp_path / "out")) == len(everything) - sum(left_out.values())
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8").replace("\\", "")
    assert all(f"{reason}: {count}" in card for reason, count in left_out.items())


def test_a_format_that_can_hold_no_row_publishes_nothing(run: Run, tmp_path: Path) -> None:
    with pytest.raises(PublishError, match=r"llama_factory \(turns_do_not_alternate: 1\)"):
        published(run, conversations({"odd": ODD["two_questions"]}), tmp_path / "out", "llama_factory")
    assert list(tmp_path.iterdir()) == []


def several() -> dict[str, list[dict[str, Any]]]:
    """A prompt with three answers in three pairs, the middle one on both sides, and a prompt with one pair."""
    rows = conversations({"single": CONVERSATIONS["single"]})
    messages = CONVERSATIONS["system"]
    known = prompt_id(messages)
    good, fair, bad = (answer(known, f"m{place}", text) for place, text in enumerate(("good", "fair", "bad")))
    rows["prompts"].append({"prompt_id": known, "messages": messages, "instruction": "", "source": "several"})
    rows["responses"] += [good, fair, bad]
    rows["pairs"] += [
        pair(good, fair, (5.0, 3.0, 2.0)),
        pair(good, bad, (5.0, 1.0, 4.0)),
        pair(fair, bad, (3.0, 1.0, 2.0)),
    ]
    return rows


def test_kto_has_each_answer_once_and_none_that_is_both_good_and_bad(run: Run, tmp_path: Path) -> None:
    published(run, several(), tmp_path / "out", "kto")
    rows = loaded(tmp_path / "out")
    labels = {row["completion"][0]["content"]: row["label"] for row in rows}
    assert labels == {"good": True, "bad": False, CHOSEN: True, REJECTED: False}
    assert len(rows) == len(labels)
    assert {row["model"]: row["rating"] for row in rows} == {"m0": 5.0, "m2": 1.0, "large": 5.0, "small": 2.0}
    assert [row["response_id"] for row in rows] == sorted(row["response_id"] for row in rows)
    assert all(row["prompt"] in CONVERSATIONS.values() for row in rows)


def test_sft_has_each_prompt_once_with_its_best_answer(run: Run, tmp_path: Path) -> None:
    published(run, several(), tmp_path / "out", "sft")
    assert sorted(row["completion"][0]["content"] for row in loaded(tmp_path / "out")) == sorted([CHOSEN, "good"])


@pytest.mark.parametrize("name", FORMATS.ours)
def test_pairs_for_which_no_judge_counts_are_published_without_ratings(run: Run, tmp_path: Path, name: str) -> None:
    rows = conversations(CONVERSATIONS)
    rows["pairs"] = [row | {"chosen_rating": None, "rejected_rating": None, "margin": None} for row in rows["pairs"]]
    published(run, rows, tmp_path / "out", name)
    assert len(loaded(tmp_path / "out")) == (6 if name in ("kto", "generations") else 3)
    if FORMATS.find(name, Path()).rows == "pairs":
        assert "judge ratings are ignored" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FORMATS.ours)
def test_the_columns_that_the_card_names_are_those_of_the_files(run: Run, tmp_path: Path, name: str) -> None:
    published(run, conversations(CONVERSATIONS), tmp_path / "out", name)
    named = re.findall(r"`(\w+)`", " ".join(FORMATS.find(name, Path()).columns))
    assert sorted(named) == sorted(set(loaded(tmp_path / "out")[0]))
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert all(f"| {column} |" in card for column in FORMATS.find(name, Path()).columns)


def test_all_formats_lie_side_by_side_and_each_loads_as_the_card_says(run: Run, tmp_path: Path) -> None:
    config = PublishConfig.model_validate({"formats": list(FORMATS.ours)})
    with open_tables(run) as connection:
        publish(config, run, connection, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    places = re.findall(r'load_from_disk\("path/to/this/folder/?([^"]*)"\)', card)
    assert places == ["dataset", *(f"{name}/dataset" for name in FORMATS.ours if f"{name}/dataset" in places)]
    assert len(places) == 9
    for place in places:
        assert datasets.load_from_disk(str(tmp_path / "out" / place)).num_rows
    assert "{" not in "".join(
        re.findall(r"```(?:python|yaml)\n(?!name)(.*?)```", card.split("## Columns")[0], re.DOTALL)
    ).replace('{"type": "dpo"}', "")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert set(manifest["files"]) == files - {"manifest.json"}


def test_an_empty_table_keeps_the_columns_of_every_format() -> None:
    empty = pa.schema(list(OWN.items())).empty_table()
    row = {name: [assistant("x")] for name in ("prompt", "chosen", "rejected")} | {"prompt_id": "p"}
    full = pa.Table.from_pylist([row], empty.schema)
    for form in (FORMATS.find(name, Path()) for name in FORMATS.ours):
        tables = [with_answers(some, {}) if form.answers else some for some in (empty, full)]
        if form.rows == "prompts":
            tables = [some.append_column("instruction", pa.array([""] * some.num_rows)) for some in tables]
        assert form.convert(tables[0]).schema == form.convert(tables[1]).schema

"""Rewriting: each way of it is asked for, replies are read strictly, and the result names its origin."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kasasagi.blocks.canonical import prompt_id
from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import ChunkJob, Session
from kasasagi.tasks.parsing import UnreadableError, prompt_file
from kasasagi.tasks.rewrite.config import RewriteConfig
from kasasagi.tasks.rewrite.write import RewriteRequest, read_rewrite, rewrite_chunk, rewrite_messages
from tests.tasks.helpers import asked, model, prompt, session

ORIGIN = "Name three rivers of Japan."


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("<request>Which rivers does Japan have?</request>", "Which rivers does Japan have?"),
        ("\n<request>\nTwo\nlines.\n</request>\n", "Two\nlines."),
        ("<request>日本の川を三つ挙げ、長さも教えてください。</request>", "日本の川を三つ挙げ、長さも教えてください。"),
    ],
)
def test_the_new_request_stands_between_its_marks(reply: str, text: str) -> None:
    assert read_rewrite(reply, ORIGIN) == text


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("Which rivers does Japan have?", "no_request"),
        ("Sure: <request>Which rivers?</request>", "no_request"),
        ("<request>One?</request> <request>Two?</request>", "speaks_of_rewriting"),
        ("<request> </request>", "empty"),
        (f"<request>{ORIGIN.replace(' ', '  ')}</request>", "same_as_origin"),
        ("<request>The rewritten request asks for rivers.</request>", "speaks_of_rewriting"),
        ("<request>元の依頼をもっと難しくしたものです。</request>", "speaks_of_rewriting"),
    ],
)
def test_what_is_no_rewriting_is_not_taken_for_one(reply: str, reason: str) -> None:
    with pytest.raises(UnreadableError) as raised:
        read_rewrite(reply, ORIGIN)
    assert raised.value.reason == reason


@pytest.mark.parametrize("language", ["en", "ja"])
def test_each_way_has_words_in_each_language(language: Any) -> None:
    text = "川の名前を三つ挙げてください。" if language == "ja" else ORIGIN
    tasks = prompt_file("rewrite", language)["tasks"]
    for method in ("paraphrase", "deeper", "broader"):
        wish = RewriteRequest(prompt(text), method)  # type: ignore[arg-type]
        asking = rewrite_messages(RewriteConfig(model="writer"), wish)
        assert sum(task in asking[1]["content"] for task in tasks[method]) == 1
        assert asking == rewrite_messages(RewriteConfig(model="writer"), wish)


def test_different_prompts_are_deepened_in_different_ways() -> None:
    tasks = prompt_file("rewrite", "en")["tasks"]["deeper"]
    asking = [
        rewrite_messages(RewriteConfig(model="w"), RewriteRequest(prompt(f"Why {n}?"), "deeper")) for n in range(40)
    ]
    assert all(any(task in one[1]["content"] for one in asking) for task in tasks)


def rewritten(folder: Path, row: dict[str, Any], answer: Any, **config: Any) -> tuple[Session, Handle]:
    here = session(folder, {"writer": model("writer")}, answer)
    shard = here.run.workspace.shards.write(pa.Table.from_pylist([row]))
    job = ChunkJob(stage="rewrite", run="run", inputs={"prompts": shard}, cache_key="k")
    return here, rewrite_chunk(here, RewriteConfig(model="writer", **config), job)


def rows(here: Session, handle: Handle, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(here.run.workspace.shards.path(handle.shards[name])).to_pylist()
    return found


def says(text: str) -> Completion:
    return Completion(text=text, finish_reason="stop", prompt_tokens=5, completion_tokens=5)


def test_the_last_turn_alone_is_written_anew_and_the_origin_is_named(tmp_path: Path) -> None:
    turns = [("user", "Hello."), ("assistant", "Hello!"), ("user", ORIGIN)]
    messages = [{"role": role, "content": content} for role, content in turns]
    row = {"prompt_id": prompt_id(messages), "messages": messages, "instruction": ORIGIN}
    here, handle = rewritten(tmp_path, row, lambda q: says("<request>Why?</request>"), methods=["broader", "deeper"])
    made = rows(here, handle, "rewritten")
    assert [(one["rewrite"], one["origin_id"], one["place"]) for one in made] == [
        ("broader", row["prompt_id"], 0),
        ("deeper", row["prompt_id"], 1),
    ]
    assert made[0]["messages"] == [*messages[:2], {"role": "user", "content": "Why?"}]
    assert made[0]["prompt_id"] == prompt_id(made[0]["messages"])
    assert "Assistant: Hello!" in asked(here)[0].request["messages"][1]["content"]


def test_a_failed_rewriting_is_asked_for_once_more_and_then_set_aside(tmp_path: Path) -> None:
    def answer(question: Question) -> Completion:
        return says("<request>Why?</request>" if len(question.request["messages"]) == 4 else ORIGIN)

    _, handle = rewritten(tmp_path / "again", prompt(ORIGIN), answer)
    assert (handle.account.rows_out, handle.account.calls_paid) == (1, 2)
    here, handle = rewritten(tmp_path / "never", prompt(ORIGIN), lambda q: says("I cannot."), methods=["deeper"])
    (row,) = rows(here, handle, "quarantine")
    assert (row["stage"], row["reason"], handle.account.calls_paid) == ("rewrite", "no_request", 2)
    assert prompt(ORIGIN)["prompt_id"] in row["payload"]

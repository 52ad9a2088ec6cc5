"""A judge whose reply cannot be read is asked once more, with the problem named, and never a third time."""

import json
from pathlib import Path

import pytest

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Completion
from tests.tasks.helpers import asked, prompt, session
from tests.tasks.test_judge_stage import JAPANESE, QUESTION, chunk, config, judges, rows, some

MUMBLE = Completion("Both have merits.", finish_reason="stop")


def at_second_sight(question: Question) -> Completion:
    """Mumbles first, and judges when it is asked once more."""
    messages = question.request["messages"]
    if len(messages) == 2:
        return MUMBLE
    return judges(Question(question.label, question.key, {**question.request, "messages": messages[:2]}))


def test_a_reply_that_is_readable_at_the_second_time_counts(tmp_path: Path) -> None:
    one = session(tmp_path, answer=at_second_sight)
    handle = chunk(one, config(orders="random"), [QUESTION], some(QUESTION, 2))
    assert (handle.account.rows_out, handle.account.quarantined, handle.account.calls_paid) == (2, 0, 2)
    ratings = rows(one, handle, "ratings")
    second = asked(one)[1]
    assert {row["call_id"] for row in ratings} == {second.key}
    assert {row["call_id"] for row in rows(one, handle, "calls")} == {question.key for question in asked(one)}


@pytest.mark.parametrize(("row", "words"), [(QUESTION, "could not be read"), (JAPANESE, "読み取れませんでした")])
def test_the_problem_is_named_in_the_judges_language(tmp_path: Path, row: dict[str, object], words: str) -> None:
    one = session(tmp_path, answer=at_second_sight)
    chunk(one, config(orders="random"), [row], some(row, 2))
    first, second = (question.request["messages"] for question in asked(one))
    assert second[:2] == first
    assert second[2] == {"role": "assistant", "content": MUMBLE.text}
    assert words in second[3]["content"]


def test_a_reply_that_stays_unreadable_is_set_aside_with_its_last_words(tmp_path: Path) -> None:
    def mumbles(question: Question) -> Completion:
        return Completion(f"No idea, {len(question.request['messages'])}.", finish_reason="stop")

    one = session(tmp_path, answer=mumbles)
    handle = chunk(one, config(orders="random"), [QUESTION], some(QUESTION, 2))
    assert (handle.account.rows_out, handle.account.quarantined, handle.account.calls_paid) == (0, 2, 2)
    assert {json.loads(row["payload"])["reply"] for row in rows(one, handle, "quarantine")} == {"No idea, 4."}


def test_nothing_is_asked_again_where_the_recipe_says_so_or_the_call_failed(tmp_path: Path) -> None:
    one = session(tmp_path / "one", answer=lambda question: MUMBLE)
    assert chunk(one, config(orders="random", repairs=0), [QUESTION], some(QUESTION, 2)).account.calls_paid == 1
    failed = Completion(error="context_too_long", detail="9999 tokens")
    other = session(tmp_path / "other", answer=lambda question: failed)
    assert chunk(other, config(orders="random"), [QUESTION], some(QUESTION, 2)).account.calls_paid == 1


def test_only_the_unreadable_ones_are_asked_again(tmp_path: Path) -> None:
    other = prompt("What is a crow?")

    def one_mumbles(question: Question) -> Completion:
        magpie = "magpie" in question.request["messages"][1]["content"].partition("Text 1")[0]
        return at_second_sight(question) if magpie else judges(question)

    one = session(tmp_path, answer=one_mumbles)
    handle = chunk(one, config(orders="random"), [QUESTION, other], [*some(QUESTION, 2), *some(other, 2)])
    assert (handle.account.calls_paid, handle.account.quarantined) == (3, 0)

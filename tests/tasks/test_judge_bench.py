"""Several judges, several samples and the second order where the first leaves the margin: who is asked what."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Completion
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.requests import judge_requests_for
from tests.fake_server.judge import text_rating
from tests.tasks.helpers import asked, model, prompt, session
from tests.tasks.test_judge_stage import QUESTION, chunk, config, judges, rows, shown, some

MODELS = {name: model(name) for name in ("critic", "second", "third")}


def panel(**fields: Any) -> JudgeConfig:
    return JudgeConfig.model_validate({"models": ["critic", "second"], **fields})


def test_each_judge_is_asked_the_same_and_named_in_the_ratings(tmp_path: Path) -> None:
    one = session(tmp_path, MODELS, answer=judges)
    handle = chunk(one, panel(), [QUESTION], some(QUESTION, 3))
    assert Counter(question.label for question in asked(one)) == {"critic": 2, "second": 2}
    assert len({json.dumps(question.request) for question in asked(one)}) == 2
    ratings = rows(one, handle, "ratings")
    assert Counter(row["judge"] for row in ratings) == {"critic": 6, "second": 6}
    assert (handle.account.rows_in, handle.account.rows_out) == (6, 6)


def test_several_samples_of_one_judge_are_draws_of_their_own(tmp_path: Path) -> None:
    one = session(tmp_path, MODELS, answer=judges)
    handle = chunk(one, config(samples=3, orders="random"), [QUESTION], some(QUESTION, 2))
    assert len({question.key for question in asked(one)}) == 3
    assert {row["judge"] for row in rows(one, handle, "ratings")} == {"critic", "critic#2", "critic#3"}


def test_more_samples_or_judges_only_add_to_what_was_asked(tmp_path: Path) -> None:
    one = session(tmp_path, MODELS)
    answers = {QUESTION["prompt_id"]: some(QUESTION, 3)}

    def keys(judge: JudgeConfig) -> set[str]:
        return {judge_request.question.key for judge_request in judge_requests_for(one, judge, [QUESTION], answers)}

    alone = keys(config())
    assert alone < keys(panel())
    assert alone < keys(config(samples=2))
    assert alone == keys(config(orders="confirm")) | {key for key in alone if key not in keys(config(orders="random"))}


def test_another_round_asks_everything_anew(tmp_path: Path) -> None:
    answers = {QUESTION["prompt_id"]: some(QUESTION, 2)}
    one = session(tmp_path, MODELS)
    made = [
        {s.question.key for s in judge_requests_for(one, panel(round=turn), [QUESTION], answers)} for turn in (0, 1, 2)
    ]
    assert [len(keys) for keys in made] == [4, 4, 4]
    assert len(set.union(*made)) == 12


def test_a_weekly_round_changes_on_mondays(monkeypatch: pytest.MonkeyPatch) -> None:
    def turn(day: datetime) -> int:
        monkeypatch.setattr("kasasagi.tasks.judge.config.time.time", day.timestamp)
        return config(round="weekly").round

    monday = datetime(2026, 11, 23, tzinfo=UTC)
    assert turn(monday - timedelta(seconds=1)) + 1 == turn(monday) == turn(monday + timedelta(days=6, hours=23))
    assert turn(monday + timedelta(days=7)) == turn(monday) + 1


def test_two_names_of_one_model_are_two_draws(tmp_path: Path) -> None:
    one = session(tmp_path, {"critic": model("judge"), "second": model("judge")})
    made = judge_requests_for(one, panel(orders="random"), [QUESTION], {QUESTION["prompt_id"]: some(QUESTION, 2)})
    assert len({judge_request.question.key for judge_request in made}) == 2


def test_one_judge_that_cannot_be_read_is_named_where_its_marks_are_missing(tmp_path: Path) -> None:
    def second_mumbles(question: Question) -> Completion:
        return judges(question) if question.label == "critic" else Completion("Hm.", finish_reason="stop")

    one = session(tmp_path, MODELS, answer=second_mumbles)
    handle = chunk(one, panel(orders="random", repairs=0), [QUESTION], some(QUESTION, 2))
    aside = rows(one, handle, "quarantine")
    assert {json.loads(row["payload"])["judge"] for row in aside} == {"second"}
    assert len({row["row_id"] for row in aside}) == 2
    assert (handle.account.rows_in, handle.account.rows_out) == (4, 2)


def test_the_second_order_is_asked_only_where_the_first_leaves_the_margin(tmp_path: Path) -> None:
    one = session(tmp_path, MODELS, answer=judges)
    prompts = [prompt(f"What is the number {number}?") for number in range(12)]
    responses = []
    for number, row in enumerate(prompts):
        responses += [{**r, "response_id": f"{number}-{r['response_id']}"} for r in some(row, 2)]
        responses[-1]["content"] = f"text {number}"
    handle = chunk(one, config(orders="confirm"), prompts, responses)
    wide = {
        row["prompt_id"]
        for number, row in enumerate(prompts)
        if abs(text_rating("text 0") - text_rating(f"text {number}")) >= 1
    }
    assert 0 < len(wide) < 12
    turned = {row["prompt_id"] for row in rows(one, handle, "ratings") if row["ordering"] == "swapped"}
    assert turned == wide
    assert handle.account.calls_paid == 12 + len(wide)
    assert (handle.account.rows_in, handle.account.rows_out, handle.account.quarantined) == (24, 24, 0)


def test_a_confirmation_that_cannot_be_read_is_set_aside(tmp_path: Path) -> None:
    first: list[str] = []

    def once(question: Question) -> Completion:
        first.append(shown(question)[0])
        return judges(question) if len(first) == 1 else Completion("Hm.", finish_reason="stop")

    one = session(tmp_path, MODELS, answer=once)
    contents = sorted((text_rating(f"text {n}"), n) for n in range(9))
    worst, best = contents[0][1], contents[-1][1]
    answers = [row for row in some(QUESTION, 9) if row["content"] in (f"text {worst}", f"text {best}")]
    handle = chunk(one, config(orders="confirm", repairs=0), [QUESTION], answers)
    assert (handle.account.rows_out, handle.account.quarantined) == (0, 2)
    assert {row["ordering"] for row in rows(one, handle, "ratings")} == {"first"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "name who judges"),
        ({"model": "a", "models": ["a", "b"]}, "name who judges"),
        ({"models": ["a", "a"]}, "set samples"),
    ],
)
def test_who_judges_is_said_once(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        JudgeConfig.model_validate(fields)

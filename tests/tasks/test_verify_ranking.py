"""Checked answers that a judge ranks: who is asked about which of them, and which pairs are made of the ranks."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.workspace.shards import Handle
from kasasagi.tasks.asking import ChunkJob, Session, read_rows
from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.judge.rate import judge_chunk
from kasasagi.tasks.tables import table
from tests.fake_server.config import ServerConfig
from tests.fake_server.judge import fenced_texts, judge_reply, text_rating
from tests.tasks.helpers import asked, pairs_from, prompt, response, session

SERVER = ServerConfig()
QUESTION = prompt("What is 2 + 2?")
RIGHT, WRONG, UNCLEAR = "The answer is 4.", "The answer is 5.", "Hard to say."


def right(number: int) -> str:
    return f"Two and two, {number} times counted. {RIGHT}"


def config(**fields: Any) -> JudgeConfig:
    return JudgeConfig.model_validate({"model": "critic", "verify": {"constraint": 4, "kind": "number"}, **fields})


def judges(question: Question) -> Completion:
    reply = judge_reply(question.request["messages"], question.key, SERVER)
    return Completion(text=reply or "", finish_reason="stop")


def silent(question: Question) -> Completion:
    return Completion(text="They are all fine.", finish_reason="stop")


def answers(*texts: str) -> list[dict[str, Any]]:
    return [response(QUESTION, number, text) for number, text in enumerate(texts)]


def chunk(one: Session, judge: JudgeConfig, responses: list[dict[str, Any]]) -> Handle:
    store = one.run.workspace.shards
    inputs = {
        "prompts": store.write(table("prompts", [QUESTION])),
        "responses": store.write(table("responses", responses)),
    }
    job = ChunkJob(stage="judge", run=one.run.id, inputs=inputs, cache_key="")
    return judge_chunk(one, judge, PairsConfig().aggregation(), job)


def rows(one: Session, handle: Handle, name: str) -> list[dict[str, Any]]:
    return read_rows(one.run, handle.shards.get(name))


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ((right(1), right(2)), "all_correct"),
        ((WRONG, "The answer is 6."), "none_correct"),
        ((right(1), WRONG), ""),
        ((right(1), right(2), UNCLEAR), "all_correct"),
        ((UNCLEAR, UNCLEAR + "!"), "missing_rating"),
    ],
)
def test_nobody_is_asked_where_a_rank_decides_nothing(tmp_path: Path, texts: tuple[str, ...], reason: str) -> None:
    one, some = session(tmp_path, answer=judges), answers(*texts)
    ratings = rows(one, chunk(one, config(), some), "ratings")
    assert asked(one) == []
    assert {row["judge"] for row in ratings} <= {"verify"}
    result = pairs_from(PairsConfig(), config(), [QUESTION], some, ratings)
    assert [row["reason"] for row in result.rows["quarantine"]] == ([reason] if reason else [])


MIXED = answers(right(1), WRONG, right(2), UNCLEAR, right(3))


@pytest.mark.parametrize("method", ["ultrafeedback", "pairwise", "rubric"])
@pytest.mark.parametrize("orders", ["random", "both", "confirm"])
def test_the_best_of_the_correct_ones_is_chosen_over_an_incorrect_one(tmp_path: Path, method: str, orders: str) -> None:
    one, rubric = (
        session(tmp_path, answer=judges),
        {"rubric": {"text": "Praise brevity."}} if method == "rubric" else {},
    )
    judge = config(method=method, orders=orders, **rubric)
    handle = chunk(one, judge, MIXED)
    shown = {text for question in asked(one) for text in fenced_texts(question.request["messages"][-1]["content"])}
    assert shown - {"Praise brevity."} == {right(1), right(2), right(3)}
    ratings = rows(one, handle, "ratings")
    result = pairs_from(PairsConfig(), judge, [QUESTION], MIXED, ratings)
    best = max((row for row in MIXED if RIGHT in row["content"]), key=lambda row: text_rating(row["content"]))
    [pair] = result.rows["pairs"]
    assert (pair["chosen_id"], pair["rejected_id"]) == (best["response_id"], MIXED[1]["response_id"])
    assert (pair["chosen_rating"], pair["rejected_rating"], pair["margin"]) == (1, 0, 1)


def test_the_account_closes_and_names_both_judges(tmp_path: Path) -> None:
    one = session(tmp_path, answer=judges)
    handle = chunk(one, config(), MIXED)
    assert (handle.account.rows_in, handle.account.rows_out) == (5 + 3, 4 + 3)
    [left] = rows(one, handle, "quarantine")
    assert left["reason"] == "cannot_tell"
    by_judge = [(row["judge"], row["rating"]) for row in rows(one, handle, "ratings")]
    assert sorted(rating for name, rating in by_judge if name == "verify") == [0, 1, 1, 1]
    assert sum(name == "critic" for name, _ in by_judge) == 2 * 3


def test_an_unreadable_judge_costs_no_pair(tmp_path: Path) -> None:
    one = session(tmp_path, answer=silent)
    handle = chunk(one, config(), MIXED)
    assert {row["reason"] for row in rows(one, handle, "quarantine")} > {"cannot_tell"}
    result = pairs_from(PairsConfig(quorum=1), config(), [QUESTION], MIXED, rows(one, handle, "ratings"))
    [pair] = result.rows["pairs"]
    assert (pair["chosen_id"], pair["margin"]) == (MIXED[0]["response_id"], 1)


def test_several_judges_rank_together(tmp_path: Path) -> None:
    judge = config(model=None, models=["critic", "large"])
    one = session(tmp_path, answer=judges)
    ratings = rows(one, chunk(one, judge, MIXED), "ratings")
    assert len(asked(one)) == 2 * 2
    for how in ("mean", "median", "majority"):
        assert pairs_from(PairsConfig(judges=how), judge, [QUESTION], MIXED, ratings).rows["pairs"]


def test_every_pair_has_an_incorrect_answer_and_the_best_ranked_comes_first(tmp_path: Path) -> None:
    one = session(tmp_path, answer=judges)
    ratings = rows(one, chunk(one, config(), MIXED), "ratings")
    every = PairsConfig(strategy="all_above_margin")
    pairs = pairs_from(every, config(), [QUESTION], MIXED, ratings).rows["pairs"]
    assert {row["rejected_id"] for row in pairs} == {MIXED[1]["response_id"]}
    assert len(pairs) == 3
    [first] = pairs_from(PairsConfig(), config(), [QUESTION], MIXED, ratings).rows["pairs"]
    one_each = PairsConfig(strategy="all_above_margin", max_pairs=1)
    [widest] = pairs_from(one_each, config(), [QUESTION], MIXED, ratings).rows["pairs"]
    assert widest == first


@given(st.lists(st.floats(-9, 9, allow_nan=False), min_size=3, max_size=3), st.booleans())
def test_whatever_the_judge_says_a_correct_answer_beats_an_incorrect_one(marks: list[float], confirm: bool) -> None:
    judge = config(orders="confirm" if confirm else "both", method="reward")
    verdicts = [(row, float(RIGHT in row["content"])) for row in MIXED if row["content"] != UNCLEAR]
    checked = [_rating(row, "verify", "number", verdict) for row, verdict in verdicts]
    some = [row for row, verdict in verdicts if verdict]
    judged = [_rating(row, "critic", "reward", mark) for row, mark in zip(some, marks, strict=True)]
    # A judge that rates an incorrect answer all the same changes nothing.
    judged.append(_rating(MIXED[1], "critic", "reward", 99))
    [pair] = pairs_from(PairsConfig(), judge, [QUESTION], MIXED, [*checked, *judged]).rows["pairs"]
    best = max(zip(marks, some, strict=True), key=lambda each: each[0])
    assert pair["rejected_id"] == MIXED[1]["response_id"]
    assert pair["margin"] == 1
    chosen = next(mark for mark, row in zip(marks, some, strict=True) if row["response_id"] == pair["chosen_id"])
    assert chosen == best[0]


def _rating(row: dict[str, Any], judge: str, aspect: str, rating: float) -> dict[str, Any]:
    names = {"response_id": row["response_id"], "prompt_id": row["prompt_id"]}
    return {**names, "judge": judge, "aspect": aspect, "ordering": "first", "place": None, "rating": rating}

"""Format DPO: ratings of several aspects and orders become one preference a prompt, or one reason."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from blocks.tables import table
from tasks.asking import ChunkJob, ChunkResult, read_rows
from tasks.format_dpo import PairsConfig, format_chunk, make_pairs
from tasks.judge.config import JudgeConfig
from tests.tasks.helpers import prompt, response, session

QUESTION = prompt("What is a magpie?")
GOOD, BAD = response(QUESTION, 1), response(QUESTION, 2)


def rating(
    row: dict[str, Any], value: float, ordering: str = "first", aspect: str = "overall-rating"
) -> dict[str, Any]:
    return {"response_id": row["response_id"], "ordering": ordering, "aspect": aspect, "rating": value}


def both(row: dict[str, Any], first: float, second: float) -> list[dict[str, Any]]:
    return [rating(row, first), rating(row, second, "turned")]


def made(ratings: list[dict[str, Any]], responses: Any = (GOOD, BAD), margin: float = 1.0, **judge: Any) -> ChunkResult:
    config = JudgeConfig.model_validate({"model": "critic", **judge})
    result = make_pairs(PairsConfig(min_margin=margin), config, [QUESTION], responses, ratings)
    assert result.rows_in == 1 == len(result.rows["pairs"]) + len(result.rows["quarantine"])
    assert result.complete
    return result


def reason(result: ChunkResult) -> str:
    [row] = result.rows["quarantine"]
    assert row["row_id"] == QUESTION["prompt_id"]
    return str(row["reason"])


def test_the_better_one_is_chosen_with_both_ratings_and_the_margin() -> None:
    [pair] = made([*both(BAD, 2, 3), *both(GOOD, 4, 5)]).rows["pairs"]
    assert pair == {
        "prompt_id": QUESTION["prompt_id"],
        "chosen_id": GOOD["response_id"],
        "rejected_id": BAD["response_id"],
        "chosen_rating": 4.5,
        "rejected_rating": 2.5,
        "margin": 2.0,
    }


@pytest.mark.parametrize(
    ("ratings", "why"),
    [
        ([*both(GOOD, 3, 3), *both(BAD, 3, 3)], "tie"),
        ([*both(GOOD, 5, 2), *both(BAD, 2, 5)], "order_flip"),
        ([*both(GOOD, 3, 4), *both(BAD, 3, 3)], "below_margin"),
        ([*both(GOOD, 5, 5), rating(BAD, 1)], "missing_rating"),
        ([*both(GOOD, 5, 5)], "missing_rating"),
        ([], "missing_rating"),
    ],
)
def test_what_is_no_preference_says_why(ratings: list[dict[str, Any]], why: str) -> None:
    assert reason(made(ratings)) == why


def test_one_response_makes_no_pair() -> None:
    assert reason(made([], responses=[GOOD])) == "too_few_responses"
    assert reason(made([], responses=[])) == "too_few_responses"


def test_a_rating_in_one_order_counts_where_one_order_was_asked() -> None:
    assert len(made([rating(GOOD, 5), rating(BAD, 1)], orders="random").rows["pairs"]) == 1


def test_aspects_are_averaged_and_a_missing_one_makes_no_pair() -> None:
    aspects = ["honesty", "helpfulness"]
    ratings = [rating(GOOD, 5, aspect="honesty"), rating(GOOD, 4, aspect="helpfulness")]
    ratings += [rating(BAD, 1, aspect="honesty"), rating(BAD, 4, aspect="helpfulness")]
    [pair] = made(ratings, aspects=aspects, orders="random").rows["pairs"]
    assert (pair["chosen_rating"], pair["rejected_rating"]) == (4.5, 2.5)
    assert reason(made(ratings[:-1], aspects=aspects, orders="random")) == "missing_rating"


def test_ratings_that_this_recipe_did_not_ask_for_do_not_count() -> None:
    ratings = [*both(GOOD, 4, 4), *both(BAD, 2, 2), rating(BAD, 5, "third"), rating(BAD, 5, aspect="honesty")]
    assert made(ratings).rows["pairs"][0]["rejected_rating"] == 2.0


def test_a_third_response_without_a_rating_does_not_spoil_the_pair() -> None:
    third = response(QUESTION, 3)
    ratings = [*both(GOOD, 5, 5), *both(BAD, 2, 2), rating(third, 1)]
    [pair] = made(ratings, responses=[GOOD, BAD, third]).rows["pairs"]
    assert pair["rejected_id"] == BAD["response_id"]


def test_the_margin_is_the_recipes() -> None:
    ratings = [*both(GOOD, 4, 4), *both(BAD, 3, 3)]
    assert made(ratings, margin=1.0).rows["pairs"]
    assert reason(made(ratings, margin=1.5)) == "below_margin"
    assert reason(made([*both(GOOD, 4, 4), *both(BAD, 4, 4)], margin=0.0)) == "tie"


def test_a_dropped_prompt_keeps_what_one_needs_to_see_why() -> None:
    [row] = made([*both(GOOD, 3, 3), rating(BAD, 3)]).rows["quarantine"]
    payload = json.loads(row["payload"])
    assert payload["instruction"] == "What is a magpie?"
    assert [one["ratings"] for one in payload["responses"]] == [[3.0, 3.0], [3.0, None]]


def test_a_chunk_without_responses_or_ratings_still_accounts_for_its_prompts(tmp_path: Path) -> None:
    one = session(tmp_path)
    inputs = {"prompts": one.run.workspace.shards.write(table("prompts", [QUESTION, prompt("Another?")]))}
    job = ChunkJob(stage="format_dpo", run=one.run.id, inputs=inputs, cache_key="")
    handle = format_chunk(one.run, PairsConfig(), JudgeConfig(model="critic"), job)
    assert (handle.account.rows_in, handle.account.rows_out, handle.account.quarantined) == (2, 0, 2)
    assert {row["reason"] for row in read_rows(one.run, handle.shards["quarantine"])} == {"too_few_responses"}


@pytest.mark.parametrize("margin", [-1, float("nan"), "much"])
def test_a_margin_is_a_number_from_zero_on(margin: Any) -> None:
    with pytest.raises(ValidationError):
        PairsConfig.model_validate({"min_margin": margin})

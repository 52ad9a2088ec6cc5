"""Format DPO: ratings of several aspects and orders become one preference a prompt, or one reason."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kasasagi.tasks.asking import ChunkJob, ChunkResult, read_rows
from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.format_dpo.pairs import format_chunk, pairs_of
from kasasagi.tasks.gate.evaluation.frames import stage_frame
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.pairing import Candidate, Dropped
from kasasagi.tasks.pairing.named import STRATEGIES
from kasasagi.tasks.tables import table
from tests.tasks.helpers import pairs_from, prompt, response, session

QUESTION = prompt("What is a magpie?")
GOOD, BAD = response(QUESTION, 1), response(QUESTION, 2)


def rating(
    row: dict[str, Any], value: float, ordering: str = "first", aspect: str = "overall-rating"
) -> dict[str, Any]:
    mark = {"judge": "critic", "ordering": ordering, "aspect": aspect, "rating": value}
    return {"response_id": row["response_id"], **mark}


def both(row: dict[str, Any], first: float, second: float) -> list[dict[str, Any]]:
    return [rating(row, first), rating(row, second, "swapped")]


def made(ratings: list[dict[str, Any]], responses: Any = (GOOD, BAD), margin: float = 1.0, **judge: Any) -> ChunkResult:
    config = JudgeConfig.model_validate({"model": "critic", **judge})
    result = pairs_from(PairsConfig(min_margin=margin), config, [QUESTION], responses, ratings)
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


def pairs_by(strategy: dict[str, Any], count: int = 4, marks: tuple[float, ...] = (5, 4, 2, 1)) -> ChunkResult:
    """What a strategy makes of one prompt with that many rated responses."""
    responses = [response(QUESTION, number) for number in range(count)]
    ratings = [row for one, mark in zip(responses, marks, strict=True) for row in both(one, mark, mark)]
    judge = JudgeConfig(model="critic")
    return pairs_from(PairsConfig.model_validate(strategy), judge, [QUESTION], responses, ratings)


@pytest.mark.parametrize(
    ("strategy", "wanted"),
    [
        ({"strategy": "best_vs_worst"}, [(5, 1)]),
        ({"strategy": "sigma"}, [(5, 1)]),
        ({"strategy": "sigma", "deviations": 0}, [(5, 2)]),
        ({"strategy": "all_above_margin", "min_margin": 3}, [(5, 1), (5, 2), (4, 1)]),
        ({"strategy": "all_above_margin", "max_pairs": 2}, [(5, 1), (5, 2)]),
        ({"strategy": "strong_vs_weak", "strong": ["model 3"], "weak": ["model 0"]}, [(None, None)]),
    ],
)
def test_each_strategy_makes_its_pairs(strategy: dict[str, Any], wanted: list[tuple[Any, Any]]) -> None:
    result = pairs_by(strategy)
    found = [(pair["chosen_rating"], pair["rejected_rating"]) for pair in result.rows["pairs"]]
    assert sorted(found, key=str) == sorted(wanted, key=str)
    assert {pair["prompt_id"] for pair in result.rows["pairs"]} == {QUESTION["prompt_id"]}


def test_the_random_one_is_drawn_among_all_others_and_always_the_same() -> None:
    drawn = [pairs_by({"strategy": "best_vs_random"}).rows["pairs"] for _ in range(2)]
    assert drawn[0] == drawn[1]
    [pair] = drawn[0]
    assert pair["chosen_rating"] == 5


def test_strong_over_weak_needs_no_ratings() -> None:
    config = PairsConfig(strategy="strong_vs_weak", strong=("model 1",), weak=("model 2",))
    result = pairs_from(config, JudgeConfig(model="critic"), [QUESTION], [BAD, GOOD], [])
    [pair] = result.rows["pairs"]
    assert (pair["chosen_id"], pair["rejected_id"]) == (GOOD["response_id"], BAD["response_id"])
    assert pair["chosen_rating"] is pair["rejected_rating"] is pair["margin"] is None
    assert reason(pairs_from(config, JudgeConfig(model="critic"), [QUESTION], [BAD], [])) == "no_strong_response"


@pytest.mark.parametrize(
    ("conditions", "why"),
    [
        ({"min_chosen_rating": 5.5}, "below_min_chosen_rating"),
        ({"models": "same"}, "different_model"),
        ({"max_length_difference": 0, "max_similarity": 0.1}, "too_similar"),
    ],
)
def test_a_condition_that_no_pair_meets_drops_the_prompt_with_its_reason(conditions: dict[str, Any], why: str) -> None:
    for strategy in ("best_vs_worst", "best_vs_random", "all_above_margin", "sigma"):
        assert reason(pairs_by({"strategy": strategy, **conditions})) == why


def test_prompts_are_counted_once_however_many_pairs_they_give(tmp_path: Path) -> None:
    other, third = prompt("Another?"), prompt("A third?")
    responses = [response(QUESTION, number) for number in range(4)] + [response(other, number) for number in (4, 5)]
    ratings = [row for place, one in enumerate(responses) for row in both(one, 1 + place, 1 + place)]
    one = session(tmp_path)
    write = one.run.workspace.shards.write
    inputs = {
        "prompts": write(table("prompts", [QUESTION, other, third])),
        "responses": write(table("responses", responses)),
        "ratings": write(table("ratings", ratings)),
    }
    job = ChunkJob(stage="format_dpo", run=one.run.id, inputs=inputs, cache_key="")
    handle = format_chunk(one.run, PairsConfig(strategy="all_above_margin"), JudgeConfig(model="critic"), job)
    assert (handle.account.rows_in, handle.account.rows_out, handle.account.quarantined) == (3, 2, 1)
    assert handle.shards["pairs"].rows == 7
    with duckdb.connect() as connection:
        for name, shard in {**inputs, **handle.shards}.items():
            connection.register(name, one.run.workspace.shards.read(shard))
        frame = stage_frame(connection, "format_dpo", {"gives_pair", "margin"})
    assert frame["gives_pair"].dropna().tolist().count(True) == 2
    assert frame["gives_pair"].dropna().tolist().count(False) == 1
    assert frame["margin"].notna().sum() == 7


def test_only_a_judge_can_have_a_favourite() -> None:
    for strategy in ({"strategy": "strong_vs_weak", "strong": ["model 1"], "weak": ["model 2"]}, {}):
        config = PairsConfig.model_validate(strategy)
        ratings = [*both(GOOD, 5, 5), *both(BAD, 1, 1)]
        result = pairs_from(config, JudgeConfig(model="critic"), [QUESTION], [GOOD, BAD], ratings)
        with duckdb.connect() as connection:
            for name, rows in {**result.rows, "responses": [GOOD, BAD]}.items():
                connection.register(name, table(name, rows))
            frame = stage_frame(connection, "format_dpo", {"chosen_from_favourite", "gives_pair"})
        assert frame["gives_pair"].tolist() == [True]
        assert frame["chosen_from_favourite"].notna().tolist() == [not strategy]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"max_pairs": 2}, "one pair a prompt"),
        ({"strategy": "sigma", "max_pairs": 2}, "one pair a prompt"),
        ({"strategy": "all_above_margin", "max_pairs": 0}, "greater than or equal to 1"),
        ({"deviations": 1}, "no use for it"),
        ({"strong": ["large"], "weak": ["small"]}, "goes by ratings"),
        ({"strategy": "strong_vs_weak"}, "needs the models of both sides"),
        ({"strategy": "strong_vs_weak", "strong": ["large"]}, "needs the models of both sides"),
        ({"strategy": "strong_vs_weak", "strong": ["a", "b"], "weak": ["b"]}, "'b' is named both"),
        ({"strategy": "strong_vs_weak", "strong": ["a"], "weak": ["b"], "min_chosen_rating": 4}, "leave it out"),
        ({"max_similarity": 1.5}, "less than or equal to 1"),
        ({"max_length_ratio": 0.5}, "greater than or equal to 1"),
        ({"max_length_ratio": float("nan")}, "finite"),
        ({"strategy": "worst_vs_best"}, "is not a strategy; did you mean .best_vs_worst."),
    ],
)
def test_settings_that_would_have_no_effect_are_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        PairsConfig.model_validate(fields)


@pytest.mark.parametrize(
    ("first", "second", "strict", "lenient"),
    [
        ((4, 2), (3, 3), "tie_in_one_order", True),
        ((3, 3), (4, 2), "tie_in_one_order", True),
        ((4, 2), (3, 2), True, True),
    ],
)
def test_a_tie_in_one_order_makes_a_pair_only_where_the_recipe_says_so(
    first: tuple[int, int], second: tuple[int, int], strict: Any, lenient: Any
) -> None:
    candidates = [
        Candidate(name, name, name, ratings)
        for name, ratings in zip("ab", zip(first, second, strict=True), strict=True)
    ]
    for holds, wanted in (("every_order", strict), ("on_average", lenient)):
        config = PairsConfig.model_validate({"min_margin": 1, "holds": holds})
        outcome = pairs_of(config, STRATEGIES.find(config.strategy, Path()), {"prompt_id": "p"}, candidates)
        assert (outcome.reason if isinstance(outcome, Dropped) else True) == wanted


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=5))
def test_no_pair_of_any_strategy_holds_in_one_order_alone(ratings: list[tuple[int, int]]) -> None:
    candidates = [Candidate(f"r{n}", f"m{n % 2}", f"text {n}", one) for n, one in enumerate(ratings)]
    for strategy in ("best_vs_worst", "best_vs_random", "all_above_margin", "sigma"):
        config = PairsConfig(strategy=strategy, min_margin=0.5)
        outcome = pairs_of(config, STRATEGIES.find(strategy, Path()), {"prompt_id": "p"}, candidates)
        for pair in [] if isinstance(outcome, Dropped) else outcome:
            assert all(a > b for a, b in zip(pair.chosen.ratings, pair.rejected.ratings, strict=True))

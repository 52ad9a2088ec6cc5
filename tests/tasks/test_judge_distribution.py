"""Ratings by distribution: exact means of fake probabilities, and the text's rating wherever there is a doubt."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.models.logprobs import LOGPROBS
from kasasagi.tasks.asking import Answered
from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.judge.replies.distribution import by_distribution, mean_rating
from kasasagi.tasks.judge.replies.lines import Verdict
from kasasagi.tasks.judge.replies.reader import read_ratings
from tests.tasks.helpers import asked, pairs_from, session
from tests.tasks.test_judge_stage import QUESTION, chunk, config, judges, rows, some

FIVE = range(1, 6)
TEN = range(1, 11)
QUESTION_OF_ANY = Question("critic", "", {"messages": []})
Odds = Mapping[str, float]


def places_of(text: str, *odds: Odds) -> list[list[Any]]:
    """Numbers of a reply whose ratings have these odds, one digit a token."""
    found = list(re.finditer(r"(?<=: )[0-9]", text))
    return [[one.start(), one.end(), dict(odd)] for one, odd in zip(found, odds, strict=True)]


def read(text: str, numbers: Any, count: int = 2, shown: tuple[str, ...] = (), **fields: Any) -> list[Verdict]:
    completion = Completion(text=text, finish_reason="stop", numbers=numbers, **fields)
    answer = Answered(QUESTION_OF_ANY, completion, False)
    words = text.rpartition("</think>")[2]
    return by_distribution(read_ratings(words, count, texts=shown), answer, FIVE, shown)


TWO = """#### Output for Text 1
Rationale: Fine.
Rating: 4

#### Output for Text 2
Rationale: Fine, 4 times.
Rating: 4"""


def test_a_rating_is_the_mean_of_what_could_have_been_written() -> None:
    first, second = read(TWO, places_of(TWO, {"4": 0.75, "5": 0.25}, {"4": 0.5, "3": 0.25, "2": 0.25}))
    assert (first.rating, second.rating) == (4.25, 3.25)
    assert (first.text_rating, second.text_rating) == (4.0, 4.0)
    assert first.read == second.read == "distribution"
    assert first.rationale == "Fine."


def test_what_is_no_rating_of_the_scale_counts_for_nothing() -> None:
    odds = {"4": 0.5, "3": 0.25, "7": 0.125, "": 0.125}
    [first, _] = read(TWO, places_of(TWO, odds, {"4": 1.0}))
    assert first.rating == round((4 * 0.5 + 3 * 0.25) / 0.75, 2) == 3.67


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        (None, "no_logprobs"),
        ([], "unclear_place"),
        (places_of(TWO, {"4": 0.3, "": 0.7}, {"4": 0.3, "": 0.7}), "little_mass"),
        (places_of(TWO, {"5": 1.0}, {"5": 1.0}), "unclear_place"),  # of another text, as where a key was hidden in it
    ],
)
def test_the_text_stands_where_there_is_no_distribution(numbers: Any, why: str) -> None:
    assert read(TWO, numbers) == [
        Verdict(4.0, "Fine.", 4.0, why),
        Verdict(4.0, "Fine, 4 times.", 4.0, why),
    ]


@pytest.mark.parametrize(
    "line",
    ["Rating: 4/5", "**Rating:** 4", "Rating: 4 out of 5", "評点：4", "Rating: 4 (Good)", "Rating: ４", "- Rating: 4"],
)
def test_every_form_of_a_rating_has_its_place(line: str) -> None:
    text = f"Rationale: It has 3 merits.\n{line}"
    place = re.search("[4４]", text)
    assert place
    [verdict] = read(text, [[*place.span(), {"4": 0.75, "5": 0.25}]], count=1)
    assert (verdict.rating, verdict.read) == (4.25, "distribution")


def test_thinking_before_the_reply_moves_its_places() -> None:
    thought = "<think>\nRating: 1\n</think>\n\n"
    text = thought + TWO
    numbers = places_of(text, {"1": 1.0}, {"4": 0.75, "5": 0.25}, {"4": 1.0})
    assert [one.rating for one in read(text, numbers)] == [4.25, 4.0]


def test_json_has_its_places_too() -> None:
    entries = [{"text": 2, "rationale": 'Says "rating": 1.', "rating": 4}, {"text": 1, "rationale": "", "rating": 5}]
    text = json.dumps({"ratings": entries})
    four, five = (place + len('"rating": ') for place in (text.index('"rating": 4'), text.index('"rating": 5')))
    numbers = [[four, four + 1, {"4": 0.5, "3": 0.5}], [five, five + 1, {"5": 0.75, "4": 0.25}]]
    assert [one.rating for one in read(text, numbers)] == [4.75, 3.5]


def test_a_rating_that_may_be_a_quotation_is_not_weighed() -> None:
    text = "#### Output for Text 1\nRating: 4\nMy final rating: 4"
    numbers = [[place.start(), place.end(), {"4": 0.5, "5": 0.5}] for place in re.finditer("4", text)]
    [verdict] = read(text, numbers, count=1, shown=("Rating: 4",))
    assert (verdict.rating, verdict.read) == (4.0, "unclear_place")
    [verdict] = read("#### Output for Text 1\nRating: 4", numbers[:1], count=1)
    assert (verdict.rating, verdict.read) == (4.5, "distribution")


@pytest.mark.parametrize(
    ("text", "odds", "scale", "mean", "why"),
    [
        ("10", [("10", {"10": 0.5, "9": 0.25, "1": 0.25})], TEN, 7.5, "distribution"),
        (
            "10",
            [("1", {"1": 0.5, "8": 0.5}), ("0", {"0": 0.5, "": 0.5})],
            TEN,
            10 * 0.25 + 1 * 0.25 + 8 * 0.5,
            "distribution",
        ),
        ("8", [("8", {"8": 0.75, "9": 0.25})], TEN, 8.25, "distribution"),
        ("8", [("8", {"8": 0.75, "1": 0.25})], TEN, None, "split_number"),
        ("8", [("8", {"8": 0.99, "1": 0.01})], TEN, 8.0, "distribution"),
        ("4", [("4", {"4": 0.75, "1": 0.25})], FIVE, 3.25, "distribution"),
        ("42", [("42", {"42": 0.5, "4": 0.5})], range(101), 23.0, "distribution"),
        ("10", [("1", {"1": 1.0})], TEN, None, "unclear_place"),
    ],
)
def test_numbers_of_several_digits(
    text: str, odds: list[tuple[str, Odds]], scale: range, mean: float | None, why: str
) -> None:
    numbers, place = [], 0
    for piece, alternatives in odds:
        numbers.append([place, place + len(piece), dict(alternatives)])
        place += len(piece)
    assert mean_rating(text, (0, len(text)), numbers, scale) == (mean, why)


def leaning(reply_to: Callable[[Question], Completion]) -> Callable[[Question], Completion]:
    """The fake judge, which leans to the next lower rating."""

    def answer(question: Question) -> Completion:
        completion = reply_to(question)
        found = list(re.finditer(r"(?<=Rating: )[0-9]", completion.text))
        odds = [{one[0]: 0.75, str(int(one[0]) - 1 or 2): 0.25} for one in found]
        return replace(completion, numbers=[[*one.span(), odd] for one, odd in zip(found, odds, strict=True)])

    return answer


def test_the_stage_asks_for_log_probabilities_and_keeps_both_ratings(tmp_path: Path) -> None:
    one = session(tmp_path, answer=leaning(judges))
    judge, answers = config(read="distribution"), some(QUESTION, 3)
    ratings = rows(one, chunk(one, judge, [QUESTION], answers), "ratings")
    assert all(LOGPROBS.items() <= question.request.items() for question in asked(one))
    assert len(ratings) == 6
    for row in ratings:
        text = row["text_rating"]
        assert row["rating"] == (0.75 * text + 0.25 * (text - 1) if text > 1 else 1.25)
        assert row["read"] == "distribution"
    pairs = pairs_from(PairsConfig(min_margin=0.5), judge, [QUESTION], answers, ratings).rows["pairs"]
    assert all(pair["margin"] >= 0.5 for pair in pairs)
    again = session(tmp_path, answer=leaning(judges), run_id="again")
    assert rows(again, chunk(again, judge, [QUESTION], answers), "ratings") == ratings
    assert not asked(again), "the ledger has the probabilities"


def test_equal_words_of_unequal_weight_make_a_pair_and_equal_ones_a_tie(tmp_path: Path) -> None:
    def undecided(question: Question) -> Completion:
        texts = question.request["messages"][-1]["content"]
        first = texts.index("text 0") < texts.index("text 1")
        odds = [{"4": 0.75, "5": 0.25}, {"4": 0.75, "3": 0.25}]
        numbers = places_of(TWO, *(odds if first else reversed(odds)))
        return Completion(text=TWO, finish_reason="stop", numbers=numbers)

    answers = some(QUESTION, 2)
    for read_, reasons in (("text", ["tie"]), ("distribution", [])):
        one = session(tmp_path / read_, answer=undecided)
        judge = config(read=read_)
        ratings = rows(one, chunk(one, judge, [QUESTION], answers), "ratings")
        result = pairs_from(PairsConfig(min_margin=0.5), judge, [QUESTION], answers, ratings)
        assert [row["reason"] for row in result.rows["quarantine"]] == reasons
        assert [(pair["chosen_rating"], pair["rejected_rating"]) for pair in result.rows["pairs"]] == (
            [] if reasons else [(4.25, 3.75)]
        )


def test_the_text_is_read_as_ever_by_default(tmp_path: Path) -> None:
    one = session(tmp_path, answer=leaning(judges))
    ratings = rows(one, chunk(one, config(), [QUESTION], some(QUESTION, 3)), "ratings")
    assert not any(name in question.request for question in asked(one) for name in LOGPROBS)
    assert all(row["rating"] == int(row["rating"]) for row in ratings)
    assert not {"read", "text_rating"} & set(ratings[0])
    assert "read" not in config(read="text").keyed()
    assert config(read="distribution").keyed() == {**config().keyed(), "read": "distribution"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"method": "pairwise"}, "leave read out"),
        ({"method": "reward"}, "leave read out"),
        ({"method": "rubric", "rubric": {"text": "Rate.", "halves": True}}, "remove halves"),
    ],
)
def test_a_distribution_needs_a_scale_of_whole_numbers(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        config(read="distribution", **fields)

"""The benchmarks that ask the oracle: what they count, and what they make of one run's ratings."""

from typing import Any

import duckdb
import pytest

from benchmarks.dpo_gain import _NAIVE
from benchmarks.truth import Material, Option, count, verdict
from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.tables import table
from tests.tasks.helpers import prompt, response

ASKED = "Leo had 25 coins but lost 11 of them. How many coins remain?"
RIGHT, WRONG, TERSE = "25 - 11 = 14, so Leo has 14 coins left.", "25 - 11 = 13, so Leo has 13 coins left.", "14."
QUESTION = prompt(ASKED)


def test_the_oracle_says_which_answer_is_really_better() -> None:
    messages = QUESTION["messages"]
    assert verdict(messages, RIGHT, WRONG) == "better"
    assert verdict(messages, WRONG, TERSE) == "worse"
    assert verdict(messages, RIGHT, RIGHT) == "equal"
    assert verdict([{"role": "user", "content": "Who are you?"}], RIGHT, WRONG) == "outside"
    pairs = [{"messages": messages, "chosen": RIGHT, "rejected": WRONG}] * 3
    assert count(pairs) == {"better": 3}


def material(marks: dict[str, tuple[float, float]], judges: tuple[str, ...] = ("one", "two")) -> Material:
    """A right, a terse and a wrong answer, with marks by judge and text in the first and in the turned order."""
    texts = dict(enumerate((RIGHT, TERSE, WRONG)))
    rows = [response(QUESTION, number, text) for number, text in texts.items()]
    ratings = [
        {"response_id": row["response_id"], "judge": name.split()[0], "ordering": ordering, "rating": mark}
        | {"aspect": "overall-rating", "prompt_id": QUESTION["prompt_id"]}
        for name, both in marks.items()
        for row in rows
        if row["content"] == texts[int(name.split()[1])]
        for ordering, mark in zip(("first", "swapped"), both, strict=True)
    ]
    return Material(JudgeConfig(models=judges), [QUESTION], rows, ratings)


MARKS = {
    **{"one 0": (5.0, 5.0), "one 1": (3.0, 3.0), "one 2": (1.0, 4.0)},
    **{"two 0": (1.0, 1.0), "two 1": (3.0, 3.0), "two 2": (5.0, 5.0)},
}


@pytest.mark.parametrize(
    ("orders", "judges", "margin", "wanted"),
    [
        ("random", ("one",), 1, ["1", "100%", "100.0%", "0.0%", "0.0%"]),
        ("both", ("one",), 2, ["1", "100%", "100.0%", "0.0%", "0.0%"]),
        ("both", ("two",), 1, ["1", "100%", "0.0%", "0.0%", "100.0%"]),
        ("random", ("one", "two"), 1, ["0", "0%", "0.0%", "0.0%", "0.0%"]),
    ],
)
def test_each_option_makes_its_own_of_the_same_ratings(
    orders: str, judges: tuple[str, ...], margin: float, wanted: list[str]
) -> None:
    option = Option(orders, judges, PairsConfig(min_margin=margin))
    assert material(MARKS).line(option)[:5] == wanted


def test_all_options_that_the_ratings_allow_have_a_line() -> None:
    options = list(material(MARKS).options())
    assert len(options) == 4 * 2 * 3 * 2
    assert len(set(map(repr, options))) == len(options)
    assert {option.judges for option in options} == {("one",), ("two",), ("one", "two")}


def test_the_naive_rule_takes_maximum_over_minimum_of_one_order_and_keeps_ties() -> None:
    rows = [response(QUESTION, number, text) for number, text in enumerate((RIGHT, WRONG))]
    other = prompt("Another?")
    tied = [response(other, number, text) for number, text in ((2, "shown second"), (3, "shown first"))]
    marks = [(rows[0], "first", 1, 2.0), (rows[1], "first", 2, 4.0), (rows[0], "swapped", 2, 5.0)]
    marks += [(tied[0], "first", 2, 3.0), (tied[1], "first", 1, 3.0)]
    names = ("ordering", "place", "rating")
    ratings: list[dict[str, Any]] = [
        {"response_id": row["response_id"], "prompt_id": row["prompt_id"], **dict(zip(names, rest, strict=True))}
        for row, *rest in marks
    ]
    with duckdb.connect() as tables:
        for name, some in {"prompts": [QUESTION, other], "responses": [*rows, *tied], "ratings": ratings}.items():
            tables.register(f"{name}_rows", table(name, some))
            tables.execute(f"CREATE TABLE {name} AS FROM {name}_rows")
        found = {row[1]: row[2:] for row in tables.execute(_NAIVE).fetchall()}
    assert found == {ASKED: (WRONG, RIGHT), "Another?": ("shown first", "shown second")}

"""SQL conditions on answers, and their length next to that of the other answers to a prompt."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kasasagi.blocks.dispatch.pending_requests import Question
from kasasagi.blocks.models.llm import Completion
from kasasagi.blocks.tables import PROMPTS
from kasasagi.flows.recipe.loading import check_recipe, override, parse_yaml
from kasasagi.tasks.respond.checks import broken_conditions, far_from_median
from tests.flows.test_recipe import TEXT, check, problem
from tests.tasks.helpers import prompt, response, session
from tests.tasks.test_respond import chunk, config, rows


def broken(where: dict[str, str], prompts: list[dict[str, Any]], *answers: dict[str, Any]) -> list[Any]:
    schema = PROMPTS
    for name, kind in {"topic": pa.string(), "year": pa.int64(), "model": pa.string()}.items():
        schema = schema.append(pa.field(name, kind))
    found = broken_conditions(where, schema, {one["prompt_id"]: one for one in prompts}, answers)
    return [one and one[0] for one in found]


def test_a_condition_sees_an_answer_and_its_prompt() -> None:
    tea, rain = prompt("What is tea?", topic="tea", year=2020), prompt("Why rain?", topic=None, year=None)
    answers = [response(tea, 0, content="Tea is a drink."), response(rain, 1, content="Warm air rises.")]
    assert broken({"short": "length(content) > 99"}, [tea, rain], *answers) == ["short", "short"]
    assert broken({"off": "contains(lower(content), topic)"}, [tea, rain], *answers) == [None, "off"]
    assert broken({"a": "true", "b": "topic IS NOT NULL"}, [tea, rain], *answers) == [None, "b"]
    assert broken({"thought": "thinking IS NULL OR length(thinking) > 9"}, [tea, rain], *answers) == [None, None]


def test_a_failing_cast_condemns_its_row_alone_and_a_null_counts_as_not_met() -> None:
    tea = prompt("What is tea?", year=2020)
    answers = [response(tea, n, content=text) for n, text in enumerate(["7", "seven", "8"])]
    assert broken({"odd": "CAST(content AS INTEGER) = 7"}, [tea], *answers) == [None, "odd", "odd"]
    [found] = broken_conditions({"odd": "thinking = 'x'"}, PROMPTS, {tea["prompt_id"]: tea}, answers[:1])
    assert found == ("odd", "null or failed: thinking = 'x'")


def test_an_answers_own_columns_hide_those_of_its_prompt() -> None:
    tea = prompt("What is tea?", model="of the source", finish_reason="length")
    answer = {**response(tea, 0), "finish_reason": "stop", "model": "small"}
    assert broken({"model": "model = 'small' AND finish_reason = 'stop'"}, [tea], answer) == [None]


def lengths(factor: float, *counts: int, taken: tuple[int, ...] = ()) -> list[int]:
    """Return the lengths of those of some answers to one prompt that stay."""
    tea = prompt("What is tea?")
    answers = [response(tea, n, content="x" * count) for n, count in enumerate(counts)]
    others = [response(tea, 90 + n, content="y" * count) for n, count in enumerate(taken)]
    found = far_from_median(factor, answers, others)
    return [count for count, problem in zip(counts, found, strict=True) if problem is None]


def test_an_answer_that_is_much_longer_or_shorter_than_the_median_is_dropped() -> None:
    assert lengths(3, 100, 120, 90, 400, 30) == [100, 120, 90]
    assert lengths(3, 100, 300, 100) == [100, 300, 100]
    assert lengths(3, 100, 301, 100) == [100, 100]
    assert lengths(1.5, 60, 90, 61) == [60, 90, 61]


def test_fewer_than_three_answers_have_no_odd_one() -> None:
    assert lengths(2, 10, 1000) == [10, 1000]
    assert lengths(2, 10) == [10]
    assert lengths(2, 10, 1000, taken=(11,)) == [10]


def test_each_prompt_has_a_median_of_its_own() -> None:
    tea, rain = prompt("What is tea?"), prompt("Why rain?")
    answers = [response(one, n, content="x" * (100 if one is tea else 1000)) for n in range(3) for one in (tea, rain)]
    assert far_from_median(2, answers, ()) == [None] * 6


def test_the_counts_of_a_chunk_close_and_name_each_reason(tmp_path: Path) -> None:
    texts = iter(
        ["A bird that sings.", "A bird that sings.", "Sorry.", "A bird, " * 30 + "a singing one.", "A bird of song."]
    )

    def answers(question: Question) -> Completion:
        return Completion(next(texts), finish_reason="stop")

    one = session(tmp_path, answer=answers)
    wanted = config(
        models=["small"],
        samples=5,
        rules=["finished", {"within_median": 3}],
        where={"no_bird": "contains(content, 'bird')"},
    )
    handle = chunk(one, wanted, [prompt("What is a magpie?")])
    found = Counter(row["reason"] for row in rows(one, handle, "quarantine"))
    assert found == {"equal_answer": 1, "no_bird": 1, "far_from_median": 1}
    assert (handle.account.rows_in, handle.account.rows_out) == (5, 2)
    [far] = [row for row in rows(one, handle, "quarantine") if row["reason"] == "far_from_median"]
    assert far["detail"].endswith("characters: more than 3 times longer than the median of 4 answers, 18")


def test_a_failed_call_counts_for_no_median(tmp_path: Path) -> None:
    replies = iter(["x" * 100, "y" * 301, None, None])

    def answers(question: Question) -> Completion:
        text = next(replies)
        return Completion(text, finish_reason="stop") if text else Completion(error="context_too_long")

    one = session(tmp_path, answer=answers)
    handle = chunk(one, config(models=["small"], samples=4, rules=[{"within_median": 2}]), [prompt("Why?")])
    assert {row["reason"] for row in rows(one, handle, "quarantine")} == {"context_too_long"}


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("respond.where={x: 'nothing > 1'}", "respond.where.x: 'nothing > 1' is not a valid condition"),
        ("respond.where={x: '(select 1) = 1'}", "contains a subquery"),
        ("respond.where={x: 'random() > 0.5'}", "differs from run to run"),
        ("respond.where={refusal: 'true'}", "'refusal' cannot be a reason of its own"),
        ("respond.where={x: ' '}", "the condition is empty"),
        ("respond.rules=[{within_median: 1}]", "is too small; write a number above 1"),
        ("respond.rules=[finished, {within_medium: 3}]", "did you mean 'within_median'"),
    ],
)
def test_what_cannot_be_checked_is_a_problem_of_the_recipe(setting: str, said: str) -> None:
    assert said in problem(setting)


def test_conditions_may_use_what_the_source_keeps_and_what_tags_add() -> None:
    recipe = check("respond.where={x: \"topic = 'tea' OR length(content) < 9\"}")
    assert recipe.respond.keyed()["where"] == {"x": "topic = 'tea' OR length(content) < 9"}
    tagged = override(
        parse_yaml(TEXT, "r"), ["tags={model: large}", "respond.where={x: \"safety = 'safe' OR length(content) < 9\"}"]
    )
    assert check_recipe(tagged, Path()).respond.where
    assert "no column safety" in problem("respond.where={x: \"safety = 'safe'\"}")


def test_neither_is_in_a_key_by_default() -> None:
    assert config().keyed() == {"models": [{"use": "small"}, {"use": "large"}]}
    assert config(rules=["finished", {"within_median": 3}]).keyed()["rules"] == ["finished", {"within_median": 3.0}]

"""Sentences about a wrong value: its place, what it is not, and what to write; each problem once."""

import pytest

from kasasagi.blocks.own.registry import Registry
from tests.flows.test_recipe import problem

SENTENCES = {
    "judge.aspects=[beauty]": "judge.aspects.0: 'beauty' is not allowed; use one of helpfulness, honesty, ",
    "judge.orders=none": "judge.orders: 'none' is not allowed; use one of both, confirm, random",
    "publish.formats=[parquet]": "publish.formats.0: 'parquet' is not a format; use one of trl, ",
    "pairs.strategy=best": "pairs.strategy: 'best' is not a strategy; use one of best_vs_worst, ",
    "filter.rules=[min_char]": "filter.rules: 'min_char' is not a rule; did you mean 'min_chars'?",
    "filter.rules=[nosuch]": "filter.rules: 'nosuch' is not a rule; use one of finished, min_chars, ",
    "filter.rules=[{min_chars: many}]": (
        "filter.rules: 'many' is not a whole number, 0 or more; write {min_chars: 10}"
    ),
    "source.columns={instruction: [a]}": (
        "source.columns.instruction: ['a'] is not a text; write a single one, without brackets"
    ),
    "filter.rules=[min_chars]": (
        "filter.rules: 'min_chars' has no value; write a whole number, 0 or more, e.g. {min_chars: 10}"
    ),
    "filter.rules=[{language: [fr]}]": (
        "filter.rules: ['fr'] is not en, ja or other, or a list of them; write {language: ja}"
    ),
    "gates.expect=[{stage: judge, expectation: ExpectNothing}]": (
        "gates.expect.0.expectation: 'ExpectNothing' is not an expectation; name a Great Expectations class, or a class"
    ),
    "filter.where={a: 'nocol > 3'}": (
        "filter.where.a: 'nocol > 3' is not a valid condition (no column nocol); use one of prompt_id, messages"
    ),
    "source={kind: x}": "source.kind: 'x' is not a kind; use one of ",
    "source={path: a}": "source.kind: this key is missing; use one of ",
}


@pytest.mark.parametrize("setting", SENTENCES)
def test_a_wrong_value_is_one_sentence_with_its_remedy(setting: str) -> None:
    message = problem(setting)
    assert message.startswith(SENTENCES[setting])
    assert len(message.splitlines()) == 1
    assert "is not valid" not in message.removeprefix("filter.where.a: 'nocol > 3' is not a valid")


def test_a_list_that_is_too_short_by_itself_is_still_named() -> None:
    assert problem("judge.aspects=[]") == "judge.aspects: [] is empty; write at least one entry"


def test_the_remedy_names_the_users_own() -> None:
    registry: Registry[int] = Registry("colour", {"red": 1, "green": 2}, lambda name, made: 3)
    with pytest.raises(ValueError, match="'grean' is not a colour; did you mean 'green'") as near:
        registry.check("grean")
    assert "use one of" not in str(near.value)
    with pytest.raises(
        ValueError, match=r"'x' is not a colour; use one of red, green, or module\.function of your own"
    ):
        registry.check("x")

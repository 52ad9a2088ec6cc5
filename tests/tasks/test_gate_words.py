"""Expectations of a recipe's own, with their limits, in the words of messages, reports and cards."""

from typing import Any

import pytest

from kasasagi.tasks.gate.expectation import Expectation
from kasasagi.tasks.gate.explain.words import limit_of, plain_name


@pytest.mark.parametrize(
    ("fields", "name", "limit"),
    [
        ({"expectation": "ExpectTableRowCountToBeBetween", "min_value": 1_000}, "rows", "at least 1,000"),
        (
            {
                "expectation": "ExpectColumnValuesToBeBetween",
                "column": "characters",
                "min_value": 500,
                "max_value": 900.5,
                "mostly": 0.5,
            },
            "characters",
            "at least 500, at most 900.5 in at least 50.0%",
        ),
        ({"expectation": "ExpectColumnValuesToNotBeNull", "column": "topic"}, "topic not empty", "every row"),
    ],
)
def test_an_expectation_of_the_recipe_is_named_in_words(fields: dict[str, Any], name: str, limit: str) -> None:
    one = Expectation.model_validate({"stage": "respond", **fields})
    assert plain_name(one.name) == name
    assert limit_of(one, one.arguments) == limit

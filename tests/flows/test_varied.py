"""The pairs of a first look: they differ, and what is chosen is clearly better."""

from typing import Any

import pytest

from kasasagi.flows.views.overview.varied import pick_varied


def pair(text: str, margin: float | None = 4.0) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "margin": margin}


ALIKE = [pair(f"What is the capital of {name}?") for name in ("France", "Spain", "Peru", "Chad", "Fiji")]


def texts(pairs: list[dict[str, Any]]) -> list[str]:
    return [one["messages"][0]["content"] for one in pairs]


def test_other_kinds_of_prompts_and_other_languages_come_first() -> None:
    others = [pair("Add 37 and 47."), pair("馬とカササギではどちらが大きいですか。")]
    shown = pick_varied([*ALIKE, *others], 3)
    assert texts(shown) == [ALIKE[0]["messages"][0]["content"], *texts(others)]


def test_no_pairs_are_picked_where_none_are_wanted() -> None:
    assert pick_varied(ALIKE, 0) == []


@pytest.mark.parametrize("first", range(4))
def test_a_second_sum_in_another_language_is_no_other_kind(first: int) -> None:
    sums = [pair("15と14の和を求めてください。"), pair("Add 2 and 22."), pair("37と5を足すといくつになりますか。")]
    others = [pair("馬とカササギではどちらが大きいですか。"), pair("Which bird builds a nest of twigs?"), *ALIKE[:2]]
    every = [*others, *sums]
    shown = texts(pick_varied([every[first], *(one for one in every if one is not every[first])], 3))
    assert sum(any(sign.isdigit() for sign in text) for text in shown) == 1


def test_a_narrow_margin_is_not_shown_where_there_are_clear_ones() -> None:
    shown = pick_varied([pair("Is 13 a prime?", 1.0), *ALIKE, pair("Name a river.", 0.5)], 4)
    assert {one["margin"] for one in shown} == {4.0}


def test_few_pairs_and_pairs_without_ratings_are_shown_as_they_are() -> None:
    assert pick_varied(ALIKE[:2], 3) == ALIKE[:2]
    assert pick_varied([], 3) == []
    assert len(pick_varied([pair(f"{number}", None) for number in range(9)], 4)) == 4
    assert pick_varied([{"messages": None, "margin": 1.0}] * 3, 1) == [{"messages": None, "margin": 1.0}]

"""What only some pairs may pass: token limits of the student, the share of on-policy pairs, thinking text."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.pairing import Candidate, Dropped, OnPolicy, Pair, keep_share
from kasasagi.tasks.token_counts import token_counter
from tests.run_example import build_example_run
from tests.tasks.helpers import pairs_from, prompt, response
from tests.tasks.test_format_dpo import both
from tests.tasks.test_publish_formats import CHOSEN, CONVERSATIONS, conversations, loaded, published
from tests.tasks.test_student import student

QUESTION = prompt("one two three")
TEXTS = {1: "a b c d", 2: "a b", 3: "a b c d e f"}
MARKS = {1: 5.0, 2: 3.0, 3: 1.0}


def made(folder: Path, limits: dict[str, Any], template: str | None = None, **fields: Any) -> list[Any]:
    """The pairs of one prompt of three words with answers of four, two and six, or the reason for none."""
    student(folder / "student", **({"chat_template": template} if template else {}))
    config = PairsConfig.model_validate({"max_tokens": {"tokenizer": "student", **limits}, **fields})
    assert config.max_tokens is not None
    responses = [response(QUESTION, number, text, thinking="so it is") for number, text in TEXTS.items()]
    ratings = [mark for row in responses for mark in both(row, *[MARKS[int(row["response_id"])]] * 2)]
    counter = token_counter(config.max_tokens, folder)
    result = pairs_from(config, JudgeConfig(model="critic"), [QUESTION], responses, ratings, counter)
    assert result.rows_in == 1
    return [(row["chosen_rating"], row["rejected_rating"]) for row in result.rows["pairs"]] or [
        row["reason"] for row in result.rows["quarantine"]
    ]


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ({"prompt": 3}, [(5.0, 1.0)]),
        ({"prompt": 2}, ["prompt_tokens"]),
        ({"total": 9}, [(5.0, 1.0)]),
        ({"total": 8}, ["total_tokens"]),
        ({"prompt": 3, "total": 9}, [(5.0, 1.0)]),
        ({"total": 11, "thinking": True}, ["total_tokens"]),
        ({"total": 14, "thinking": True}, [(5.0, 1.0)]),
    ],
)
def test_a_limit_holds_up_to_its_bound_for_the_longer_response(
    tmp_path: Path, limits: dict[str, Any], wanted: list[Any]
) -> None:
    assert made(tmp_path, limits) == wanted


def test_of_all_pairs_those_that_fit_stay(tmp_path: Path) -> None:
    assert made(tmp_path, {"total": 7}, strategy="all_above_margin") == [(5.0, 3.0)]


def test_a_conversation_that_the_students_template_refuses_makes_no_pair(tmp_path: Path) -> None:
    assert made(tmp_path, {"total": 99}, "{{ raise_exception('never') }}") == ["chat_template"]
    answers = "{% if messages[-1]['role'] == 'assistant' %}{{ raise_exception('no') }}{% endif %}x"
    assert made(tmp_path / "b", {"total": 99}, answers) == ["chat_template"]
    assert made(tmp_path / "c", {"prompt": 99}, answers) == [(5.0, 1.0)]


def pair(number: int, chosen: str, rejected: str) -> Pair:
    one, other = Candidate(f"{number}c", chosen, "x", (5.0,)), Candidate(f"{number}r", rejected, "y", (1.0,))
    return Pair(one, other, 5.0, 1.0, 4.0)


SIDES = st.tuples(st.sampled_from(["me", "you"]), st.sampled_from(["me", "you"]))


@given(
    st.lists(st.lists(SIDES, max_size=3), max_size=12),
    st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 0.9, 1.0]),
    st.sampled_from(["both", "either", "chosen", "rejected"]),
)
def test_the_share_is_kept_with_as_few_pairs_lost_as_can_be(
    prompts: list[list[tuple[str, str]]], share: float, sides: Any
) -> None:
    config = OnPolicy(models=("me",), share=share, sides=sides)
    outcomes = {
        f"p{place}": [pair(number, *who) for number, who in enumerate(some)] or Dropped("tie", "as before")
        for place, some in enumerate(prompts)
    }
    kept = keep_share(config, outcomes)
    assert kept.keys() == outcomes.keys()
    before = [one for some in outcomes.values() if isinstance(some, list) for one in some]
    after = [one for some in kept.values() if isinstance(some, list) for one in some]
    on = sum(config.holds(one) for one in before)
    assert sum(config.holds(one) for one in after) == on
    assert on >= share * len(after) - 1e-9
    if len(after) < len(before):
        assert on < share * (len(after) + 1) + 1e-9
    for name, some in kept.items():
        was = outcomes[name]
        assert some == was if isinstance(was, Dropped) else isinstance(some, list) or some.reason == "off_policy"
    assert keep_share(config, dict(reversed(outcomes.items()))) == kept


def test_the_off_policy_pairs_that_go_are_in_the_quarantine() -> None:
    prompts = [prompt(f"question {number}") for number in range(40)]
    rows, ratings = [], []
    for number, one in enumerate(prompts):
        writers = ("me", "me") if number < 10 else ("me", "you")
        some = [response(one, 2 * number + side, model=writers[side]) for side in (0, 1)]
        rows += some
        ratings += [*both(some[0], 5, 5), *both(some[1], 1, 1)]
    config = PairsConfig.model_validate({"on_policy": {"models": ["me"], "share": 0.5}})
    result = pairs_from(config, JudgeConfig(model="critic"), prompts, rows, ratings)
    assert (result.rows_in, result.rows_out) == (40, 20)
    assert Counter(row["reason"] for row in result.rows["quarantine"]) == {"off_policy": 20}


def thoughtful(folder: Path, **settings: Any) -> list[dict[str, Any]]:
    """What is published of answers of which the chosen ones come with their thinking."""
    rows = conversations(CONVERSATIONS)
    for row in rows["responses"]:
        row["thinking"] = "Let me see." if row["model"] == "large" else None
    published(build_example_run(folder / "workspace", prompts=4), rows, folder / "out", "trl", **settings)
    return loaded(folder / "out")


def test_thinking_is_published_only_where_it_is_asked_for(tmp_path: Path) -> None:
    for row in thoughtful(tmp_path / "dropped"):
        assert row["chosen"][0]["content"] == CHOSEN
    for row in thoughtful(tmp_path / "inline", thinking="inline"):
        assert row["chosen"][0]["content"] == f"<think>\nLet me see.\n</think>\n\n{CHOSEN}"
        assert row["rejected"][0]["content"] == "Hot."

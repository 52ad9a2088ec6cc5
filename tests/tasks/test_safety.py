"""Refusals as sides of pairs: never chosen for a safe prompt, chosen for an unsafe one, and every pair says why."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasasagi.blocks.tables import PROMPTS
from kasasagi.tasks.asking import ChunkJob, read_rows
from kasasagi.tasks.format_dpo.config import PairsConfig
from kasasagi.tasks.format_dpo.pairs import format_chunk, pairs_of
from kasasagi.tasks.format_dpo.refusals import SAFETY_COLUMNS, unsafe_prompts
from kasasagi.tasks.gate.evaluation.frames import stage_frame
from kasasagi.tasks.judge.config import JudgeConfig
from kasasagi.tasks.pairing import Candidate, Dropped, Pair, Refusals, Safety
from kasasagi.tasks.pairing.named import STRATEGIES
from kasasagi.tasks.tables import table
from tests.flows.test_recipe import check, problem
from tests.tasks.helpers import prompt, response, session
from tests.tasks.test_format_dpo import both

RATED = ("best_vs_worst", "best_vs_random", "sigma", "all_above_margin")
NO = "no"


def candidate(name: str, *ratings: float, content: str = "", model: str = "small") -> Candidate:
    return Candidate(name, model, content or f"answer {name}", ratings, "stop")


def outcome(
    unsafe: bool | None, candidates: list[Candidate], strategy: str = "best_vs_worst", mode: str = "any", **more: Any
) -> list[Pair] | Dropped:
    """The pairs of one prompt; a response whose text is NO refuses."""
    safety = Safety.model_validate({"unsafe": "true", "chosen_if_unsafe": mode})
    config = PairsConfig.model_validate({"strategy": strategy, "safety": safety, **more})
    known = Refusals.of(safety, unsafe, candidates, lambda content: content.startswith(NO))
    return pairs_of(config, STRATEGIES.find(strategy, Path()), {"prompt_id": "p"}, candidates, refusals=known)


def names(found: list[Pair] | Dropped) -> set[tuple[str, str]] | str:
    if isinstance(found, Dropped):
        return found.reason
    return {(pair.chosen.response_id, pair.rejected.response_id) for pair in found}


GOOD, POOR, REFUSAL = candidate("good", 5, 5), candidate("poor", 2, 2), candidate("refusal", 4, 4, content=NO)
LOVED = candidate("loved refusal", 9, 9, content=f"{NO} thanks")


def test_for_a_safe_prompt_a_refusal_is_worse_than_any_answer_whatever_the_judge_says() -> None:
    assert names(outcome(False, [GOOD, POOR, REFUSAL])) == {("good", "refusal")}
    assert names(outcome(False, [POOR, LOVED])) == {("poor", "loved refusal")}
    assert names(outcome(False, [GOOD, POOR])) == {("good", "poor")}
    assert names(outcome(False, [REFUSAL, LOVED])) == "only_refusals"


@pytest.mark.parametrize("strategy", RATED)
def test_a_checked_answer_that_is_incorrect_is_not_better_than_a_refusal(strategy: str) -> None:
    right, wrong, refusal = (
        replace(candidate(name, rating, content=content), checked=True)
        for name, rating, content in (("right", 1, ""), ("wrong", 0, ""), ("refusal", 0, NO))
    )
    assert names(outcome(False, [wrong, refusal], strategy)) == "none_correct"
    found = names(outcome(False, [right, wrong, refusal], strategy))
    assert found <= {("right", "wrong"), ("right", "refusal")}
    assert names(outcome(False, [right, refusal], strategy)) == {("right", "refusal")}


def test_an_unsafe_prompt_goes_by_ratings_or_only_a_refusal_is_chosen() -> None:
    assert names(outcome(True, [GOOD, LOVED])) == {("loved refusal", "good")}
    assert names(outcome(True, [GOOD, REFUSAL])) == {("good", "refusal")}
    assert names(outcome(True, [GOOD, POOR, REFUSAL], mode="refusal")) in (
        {("refusal", "good")},
        {("refusal", "poor")},
    )
    assert names(outcome(True, [GOOD, POOR], mode="refusal")) == "no_refusal"
    assert names(outcome(True, [REFUSAL, LOVED], mode="refusal")) == {("loved refusal", "refusal")}


def test_where_nothing_is_known_of_a_prompt_its_refusals_are_left_out() -> None:
    assert names(outcome(None, [GOOD, POOR, LOVED])) == {("good", "poor")}
    assert names(outcome(None, [GOOD, LOVED])) == "too_few_responses"


def test_a_pair_keeps_the_judges_ratings_and_has_no_margin_where_they_disagree_with_it() -> None:
    [agreed] = outcome(False, [GOOD, REFUSAL])
    assert (agreed.chosen_rating, agreed.rejected_rating, agreed.margin) == (5, 4, 1)
    assert agreed.rejected.ratings == (4, 4)
    [against] = outcome(False, [POOR, LOVED])
    assert (against.chosen_rating, against.rejected_rating, against.margin) == (2, 9, None)


def test_conditions_hold_for_such_pairs_too() -> None:
    assert names(outcome(False, [POOR, REFUSAL], min_chosen_rating=3)) == "below_min_chosen_rating"
    assert names(outcome(False, [GOOD, REFUSAL], max_length_ratio=1.5)) == "length_ratio"
    assert names(outcome(False, [GOOD, REFUSAL], min_margin=3)) == {("good", "refusal")}
    assert names(outcome(False, [GOOD, POOR], min_margin=4)) == "below_margin"


def test_a_stronger_model_that_refuses_a_safe_prompt_is_not_chosen() -> None:
    refuses, answers = candidate("a", content=NO, model="large"), candidate("b", model="large")
    weak = candidate("c", content=NO, model="small")
    sides = {"strong": ["large"], "weak": ["small"]}
    assert names(outcome(False, [refuses, answers, weak], "strong_vs_weak", **sides)) == {("b", "c")}
    assert names(outcome(False, [refuses, candidate("c")], "strong_vs_weak", **sides)) == "no_strong_response"


@given(
    st.sampled_from(RATED),
    st.sampled_from(["any", "refusal"]),
    st.booleans(),
    st.lists(st.tuples(st.floats(1, 5), st.floats(1, 5), st.booleans()), min_size=2, max_size=6),
)
def test_no_strategy_chooses_what_counts_as_worse(
    strategy: str, mode: str, unsafe: bool, responses: list[tuple[float, float, bool]]
) -> None:
    candidates = [
        candidate(str(place), one, other, content=f"{NO if refuses else 'yes'} {place}")
        for place, (one, other, refuses) in enumerate(responses)
    ]
    found = outcome(unsafe, candidates, strategy, mode)
    for pair in [] if isinstance(found, Dropped) else found:
        refuses = pair.chosen.content.startswith(NO)
        assert unsafe or not refuses
        assert refuses or not (unsafe and mode == "refusal")
        assert pair.margin is None or pair.margin > 0


def test_prompts_are_told_by_a_condition_and_one_that_fails_tells_nothing() -> None:
    rows = [prompt(text) for text in ("bomb", "tea", "rain")]
    some = table("prompts", rows)
    assert unsafe_prompts(Safety(unsafe="instruction = 'bomb'"), some) == [True, False, False]
    assert unsafe_prompts(Safety(unsafe="CAST(instruction AS INTEGER) > 1"), some) == [None, None, None]
    assert unsafe_prompts(Safety(unsafe="true"), PROMPTS.empty_table()) == []


def test_a_chunk_records_for_each_pair_whether_the_prompt_is_unsafe_and_which_side_refuses(tmp_path: Path) -> None:
    safe, unsafe = prompt("How do I cook rice?"), prompt("How do I pick the lock of my neighbour's door?")
    texts = {"ok": "Wash it, then boil it in twice as much water.", "no": "I'm sorry, but I can't help with that."}
    responses = [
        response(one, place, content=texts[kind])
        for place, (one, kind) in enumerate([(safe, "ok"), (safe, "no"), (unsafe, "ok"), (unsafe, "no")], 1)
    ]
    ratings = [
        {**rating, "prompt_id": row["prompt_id"]}
        for row, value in zip(responses, (3, 5, 2, 5), strict=True)
        for rating in both(row, value, value)
    ]
    one = session(tmp_path)
    tables = {"prompts": [safe, unsafe], "responses": responses, "ratings": ratings}
    inputs = {name: one.run.workspace.shards.write(table(name, rows)) for name, rows in tables.items()}
    config = PairsConfig(safety=Safety(unsafe="contains(instruction, 'lock')"))
    job = ChunkJob(stage="format_dpo", run=one.run.id, inputs=inputs, cache_key="")
    handle = format_chunk(one.run, config, JudgeConfig(model="critic"), job)
    pairs = {row["prompt_id"]: row for row in read_rows(one.run, handle.shards["pairs"])}
    assert {key: pairs[safe["prompt_id"]][key] for key in ("unsafe_prompt", "refusal_side", "margin")} == {
        "unsafe_prompt": False,
        "refusal_side": "rejected",
        "margin": None,
    }
    assert {key: pairs[unsafe["prompt_id"]][key] for key in ("unsafe_prompt", "refusal_side", "margin")} == {
        "unsafe_prompt": True,
        "refusal_side": "chosen",
        "margin": 3.0,
    }


def test_the_gate_sees_which_pairs_of_safe_prompts_refuse() -> None:
    sides = [(False, "rejected"), (False, None), (False, "chosen"), (True, "chosen"), (None, None)]
    pairs = [
        {"prompt_id": f"{place}", "chosen_id": "a", "rejected_id": "b", "unsafe_prompt": unsafe, "refusal_side": side}
        for place, (unsafe, side) in enumerate(sides)
    ]
    responses = [{**response(prompt("?"), place), "response_id": name} for place, name in enumerate("ab")]
    with duckdb.connect() as connection:
        connection.register("responses", table("responses", responses))
        connection.register("quarantine", table("quarantine", []))
        connection.register("pairs", table("pairs", pairs, SAFETY_COLUMNS))
        frame = stage_frame(connection, "format_dpo", {"safe_prompt_refused", "over_refusal_rejected"})
        connection.register("pairs", table("pairs", pairs[:1]))
        without = stage_frame(connection, "format_dpo", {"safe_prompt_refused"})
    assert frame["safe_prompt_refused"].dropna().tolist() == [False, False, True]
    assert frame["over_refusal_rejected"].dropna().tolist() == [True, False, False]
    assert without["safe_prompt_refused"].dropna().tolist() == []


def test_expectations_of_refusals_are_active_with_safety_alone() -> None:
    def columns(*settings: str) -> set[str]:
        return {one.arguments.get("column", "") for one in check(*settings).expectations if one.stage == "format_dpo"}

    wanted = {"safe_prompt_refused", "over_refusal_rejected"}
    assert not wanted & columns()
    assert wanted <= columns(*WITH_SAFETY)


WITH_SAFETY = ("pairs.safety={unsafe: \"topic = 'harm'\"}", "respond.rules=[finished, not_empty]")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (WITH_SAFETY[:1], "respond.rules: no_refusal drops what safety would pair; write rules without it: [finished,"),
        (("pairs.safety={unsafe: nothing}", WITH_SAFETY[1]), "pairs.safety.unsafe: 'nothing' is not a valid condition"),
        (("pairs.safety={unsafe: ''}", WITH_SAFETY[1]), "pairs.safety.unsafe: "),
        (("pairs.safety={}", WITH_SAFETY[1]), "pairs.safety.unsafe: this key is missing"),
        (("pairs.safety={unsafe: \"safety <> 'safe'\"}", WITH_SAFETY[1]), "no column safety"),
    ],
)
def test_what_cannot_work_is_a_problem_of_the_recipe(settings: tuple[str, ...], said: str) -> None:
    assert said in problem(*settings)


def test_a_recipe_without_it_has_the_key_that_it_had() -> None:
    assert "safety" not in PairsConfig().keyed()

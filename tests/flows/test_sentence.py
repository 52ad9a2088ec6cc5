"""The sentence that a run comes to: what it made, at what cost, and what to look at, whatever the gates say."""

import pytest

from kasasagi.flows.views.overview.sentence import result_sentence

STAGE = {"rows_in": 10, "quarantined": 0, "cost_usd": 0.0, "calls_paid": 20}


@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        ({"server_error": 2}, "2 calls got no answer: run again to ask only what is missing"),
        ({"time_out": 1, "refusal": 3}, "1 call got no answer: run again to ask only what is missing"),
        ({"refusal": 3}, ""),
        ({"budget_spent": 3}, ""),
    ],
)
def test_what_the_next_run_completes_is_named(reasons: dict[str, int], words: str) -> None:
    stages = [
        {**STAGE, "stage": "respond", "quarantined": sum(reasons.values()), "reasons": reasons},
        {**STAGE, "stage": "format_dpo", "reasons": {}},
    ]
    sentence = result_sentence("pairs", 8, stages, [], ["out"])
    assert ("run again" in sentence) == bool(words)
    assert words in sentence


def sentence_of(pair_reasons: dict[str, int], answer_reasons: dict[str, int], gates: int = 0, usd: float = 0.0) -> str:
    responding = {**STAGE, "quarantined": sum(answer_reasons.values()), "reasons": answer_reasons, "cost_usd": usd}
    lost = sum(pair_reasons.values())
    pairing = {**STAGE, "rows_in": 1_000, "calls_paid": 0, "quarantined": lost, "reasons": pair_reasons}
    stages = [{**responding, "stage": "respond"}, {**pairing, "stage": "format_dpo"}]
    return result_sentence("pairs", 1_000 - lost, stages, [{"success": True}] * gates, [])


def test_prompts_that_gave_no_pair_are_named_though_every_gate_passed() -> None:
    lost = "; 520 of 1,000 prompts gave no pair, "
    few = sentence_of({"tie": 96, "too_few_responses": 424}, {"refusal": 3, "equal_answer": 421}, gates=26)
    assert few.endswith(f"{lost}most often because fewer than two answers were left (equal_answer 421)")
    assert "too_few_responses" not in few, "a consequence: what to change is what removed the answers"
    assert sentence_of({"tie": 520}, {"equal_answer": 421}, gates=26).endswith(f"{lost}most often tie (520)")
    assert sentence_of({"too_few_responses": 520}, {}).endswith(f"{lost}most often too_few_responses (520)")


def test_a_run_that_lost_nothing_ends_with_its_gates() -> None:
    assert sentence_of({}, {}, gates=26).endswith("$0; all 26 gates passed")
    assert sentence_of({}, {}, gates=1).endswith("; all 1 gate passed")
    assert "gate" not in sentence_of({}, {})


def test_calls_are_paid_only_where_they_cost_something() -> None:
    assert "; 20 calls sent, $0; " in sentence_of({"tie": 1}, {})
    assert "; 20 paid calls, $0.5000; " in sentence_of({"tie": 1}, {}, usd=0.5)


def test_an_expectation_that_only_warns_is_no_failed_gate() -> None:
    outcomes = [
        {"success": True, "severity": "critical"},
        {"success": False, "severity": "critical"},
        {"success": False, "severity": "warning"},
        {"success": False, "severity": "info"},
    ]
    stages = [{"stage": "format_dpo", "rows_in": 9, "rows_out": 9, "quarantined": 0, "calls_paid": 0, "cost_usd": 0.0}]
    assert result_sentence("pairs", 9, stages, outcomes, []).endswith("; look at 1 failed gate; look at 2 warnings")
    assert result_sentence("pairs", 9, stages, outcomes[2:3], []).endswith("$0; look at 1 warning")

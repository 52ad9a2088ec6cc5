"""The sentence that a run comes to: what got no answer for now is asked by the next run, and the sentence says so."""

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
    sentence = result_sentence("pairs", 8, stages, [], "out")
    assert ("run again" in sentence) == bool(words)
    assert words in sentence

"""The training of the benchmark that asks whether the data teaches: a few steps of it. Needs TRL and torch."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import dpo_gain
from benchmarks.dpo_gain import Training, TrainingOutcome, outcome, right_answers, table, train
from kasasagi.blocks.engines.bundled import BundledEngine
from kasasagi.blocks.workspace.runs import Run, Workspace
from tests.benchmarks.test_truth import QUESTION, RIGHT, TERSE


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", [0.0, 1.0])
def test_hina_learns_from_pairs_and_answers_afterwards(tmp_path: Path, likelihood: float) -> None:
    pairs = [{"messages": QUESTION["messages"], "chosen": TERSE, "rejected": RIGHT}] * 64
    training = Training(rate=1e-3, batch=8, likelihood=likelihood, threads=1)
    engine = train(pairs, training, 0, tmp_path)
    assert engine.identity() != BundledEngine().identity()
    asked = {"messages": QUESTION["messages"], "temperature": 0.0, "max_tokens": 40}
    before, after = (one.generate([asked])[0].text for one in (BundledEngine(), engine))
    assert len(after) < len(before)
    assert len(right_answers(engine, 20, 0)) == 20


def test_a_gain_is_held_against_the_questions_and_against_the_seeds() -> None:
    before, ours, naive = [True, False, False, False], [True, True, True, False], [True, True, False, False]
    truth = {name: {"better": "90.0%"} for name in ("ours", "naive")}
    one = TrainingOutcome(0, 1_234, truth, {"before": before, "ours": ours, "naive": naive})
    gain = one.points("ours", "before")
    assert gain.value == 50
    assert (round(gain.low, 1), round(gain.high, 1)) == (-6.6, 106.6)
    other = TrainingOutcome(1, 10, truth, {"before": before, "ours": before, "naive": naive})
    header, _, first, second, mean, pooled = table([one, other]).splitlines()
    assert "ours over naive" in header
    assert first.startswith("| 0 | 1,234 | 90.0% | 90.0% | 25.0% | 75.0% | 50.0% | +50.0")
    assert second.startswith("| 1 | 10 |")
    assert "+25.0 (-292.6 to +342.6)" in mean
    assert "+25.0 (-7.1 to +57.1)" in pooled


def test_what_a_seed_gave_is_kept_for_the_same_pairs_and_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [{"messages": QUESTION["messages"], "chosen": RIGHT, "rejected": TERSE}] * 2
    trained: list[int] = []

    def untouched(some: list[dict[str, Any]], *_: object) -> BundledEngine:
        trained.append(len(some))
        return BundledEngine()

    monkeypatch.setattr(dpo_gain, "pairs_of", lambda run: pairs)
    monkeypatch.setattr(dpo_gain, "naive_pairs_of", lambda run, most, seed: pairs[:most])
    monkeypatch.setattr(dpo_gain, "train", untouched)
    run = Run(Workspace(tmp_path), "any")
    first = outcome(run, 0, Training(), 4, tmp_path)
    assert outcome(run, 0, Training(), 4, tmp_path) == first
    assert trained == [2, 2]
    assert outcome(run, 1, Training(), 4, tmp_path).seed == 1
    outcome(run, 0, Training(rate=1e-4), 4, tmp_path)
    pairs.pop()
    assert outcome(run, 0, Training(), 4, tmp_path).pairs == 1
    assert trained == [2, 2, 2, 2, 2, 2, 1, 1]

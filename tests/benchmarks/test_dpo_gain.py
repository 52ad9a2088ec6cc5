"""The training of the benchmark that asks whether the data teaches: a few steps of it. Needs TRL and torch."""

from pathlib import Path

import pytest

from benchmarks.dpo_gain import Training, right_share, train
from blocks.bundled import BundledEngine
from tests.benchmarks.test_truth import QUESTION, RIGHT, TERSE

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("likelihood", [0.0, 1.0])
def test_hina_learns_from_pairs_and_answers_afterwards(tmp_path: Path, likelihood: float) -> None:
    pairs = [{"messages": QUESTION["messages"], "chosen": TERSE, "rejected": RIGHT}] * 64
    training = Training(rate=1e-3, batch=8, likelihood=likelihood, threads=1)
    engine = train(pairs, training, 0, tmp_path)
    assert engine.identity() != BundledEngine().identity()
    asked = {"messages": QUESTION["messages"], "temperature": 0.0, "max_tokens": 40}
    before, after = (one.generate([asked])[0].text for one in (BundledEngine(), engine))
    assert len(after) < len(before)
    assert 0 <= right_share(engine, 20, 0) <= 100

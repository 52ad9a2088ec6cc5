"""The ridge regression of the shortcut audit, and the n-grams that it reads."""

import numpy as np
import pytest

from kasasagi.tasks.reports.ngrams import SIZES, marked, one_sided, read_one_sided
from kasasagi.tasks.reports.ridge import PENALTY, ridge_weights


@pytest.mark.parametrize("shape", [(60, 20), (40, 90)])
def test_the_weights_are_those_of_the_closed_form(shape: tuple[int, int]) -> None:
    draw = np.random.default_rng(2)
    features = draw.integers(-1, 2, shape).astype(np.float32)
    parts = (draw.random((shape[0], 3)) < 0.7).astype(np.float32)
    found = ridge_weights(features, parts)
    for column, part in enumerate(parts.T > 0):
        rows = features[part].astype(float)
        penalty = PENALTY * (rows**2).sum() / len(rows)
        exact = np.linalg.solve(rows.T @ rows + penalty * np.eye(shape[1]), rows.sum(axis=0))
        assert np.abs(found[:, column] - exact).max() < 0.01 * np.abs(exact).max()


def test_rows_without_features_have_no_weights() -> None:
    assert not ridge_weights(np.zeros((5, 3), np.float32), np.ones((5, 2), np.float32)).any()


def test_an_ngram_is_one_sided_where_one_text_of_a_pair_has_it() -> None:
    pairs = [("the river", "a river 鳥"), ("", "x"), ("same", "same"), ("aaaa", "aa")]
    found = one_sided([(marked(one), marked(other)) for one, other in pairs], 7)
    rows, _, sides = read_one_sided(found)
    counted = [[int(((rows == number + 7) & (sides == side)).sum()) for side in (0, 1)] for number in range(len(pairs))]
    assert counted == [[len(ngrams(one) - ngrams(other)), len(ngrams(other) - ngrams(one))] for one, other in pairs]
    assert rows.max() == 10


def ngrams(text: str) -> set[str]:
    text = marked(text)
    return {text[start : start + size] for size in SIZES for start in range(len(text) - size + 1)}

"""Ridge regression on several parts of one matrix at once, by conjugate gradients.

Neither the kernel of all rows nor the covariance of all columns is worked out: memory is that of the features.
"""

from typing import Any

import numpy as np

PENALTY = 0.1
"""The ridge penalty, as a share of the mean squared length of the rows."""
PRECISION = 1e-3
"""How small the residual becomes, as a share of the first one."""
MOST_STEPS = 100
_TINY = np.float32(1e-30)


def ridge_weights(features: Any, parts: Any) -> Any:
    """Return the weights of a ridge regression of the target 1 on each part of the rows, of shape (features, parts).

    One thread adds up in the same order each time.

    Args:
        features: The rows' features, float32 of shape (rows, features).
        parts: 1 where a row belongs to a part, else 0; float32 of shape (rows, parts).
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        lengths = np.einsum("ij,ij->i", features, features)
        penalties = PENALTY * np.maximum(lengths @ parts / np.maximum(parts.sum(axis=0), 1), np.float32(1e-9))
        return _solve(features, parts, penalties)


def _solve(features: Any, parts: Any, penalties: Any) -> Any:
    """Return the solutions by conjugate gradients (Hestenes, Stiefel 1952), all parts side by side."""
    residuals = features.T @ parts
    weights, directions = np.zeros_like(residuals), residuals
    squares = (residuals**2).sum(axis=0)
    enough = PRECISION**2 * squares
    for _ in range(MOST_STEPS):
        curved = features.T @ (parts * (features @ directions)) + penalties * directions
        steps = squares / np.maximum((directions * curved).sum(axis=0), _TINY)
        weights += steps * directions
        residuals = residuals - steps * curved
        before, squares = squares, (residuals**2).sum(axis=0)
        if (squares <= enough).all():
            break
        directions = residuals + squares / np.maximum(before, _TINY) * directions
    return weights

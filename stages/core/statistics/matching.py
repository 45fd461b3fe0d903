"""Matching the spans of two observers: temporal IoU and optimal one-to-one assignment.

Spans are half-open, int (N, 2): first frame, and the frame after the last.
"""

from __future__ import annotations

import numpy as np


def tiou_matrix(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Compute the temporal IoU of every span with every other, float64 (N, M).

    Args:
        one: (N, 2).
        other: (M, 2).
    """
    one, other = np.reshape(one, (-1, 2)), np.reshape(other, (-1, 2))
    starts = np.maximum(one[:, None, 0], other[None, :, 0])  # (N, M)
    ends = np.minimum(one[:, None, 1], other[None, :, 1])
    shared = np.maximum(ends - starts, 0)
    lengths = (one[:, 1] - one[:, 0])[:, None] + (other[:, 1] - other[:, 0])[None]
    return shared / np.maximum(lengths - shared, 1)


def matched_pairs(tiou: np.ndarray) -> np.ndarray:
    """Find the one-to-one pairs of spans with the largest sum of IoU.

    Args:
        tiou: (N, M), of :func:`tiou_matrix`.

    Returns:
        int (K, 2), rows and columns of the pairs, by row; pairs that share no frame are left out.
    """
    pairs = _assignment(tiou)
    return pairs[tiou[pairs[:, 0], pairs[:, 1]] > 0]


def hits(tiou: np.ndarray, threshold: float) -> int:
    """Count the most one-to-one pairs whose IoU is at least `threshold`.

    These need not be pairs of :func:`matched_pairs`, which may give up a pair for two worse ones.

    Args:
        tiou: (N, M).
    """
    fits = tiou >= threshold
    pairs = _assignment(fits.astype(float))
    return int(fits[pairs[:, 0], pairs[:, 1]].sum())


def f1(found: np.ndarray | float, spans: np.ndarray | float) -> np.ndarray:
    """Compute F1, the harmonic mean of precision and recall; the same from both sides.

    Args:
        found: (...), number of pairs that hit.
        spans: (...), number of spans of both observers together.

    Returns:
        float64 (...), NaN where there is no span.
    """
    spans = np.asarray(spans, float)
    return np.divide(
        2.0 * np.asarray(found), spans, out=np.full_like(spans, np.nan), where=spans > 0
    )


def _assignment(gains: np.ndarray) -> np.ndarray:
    """Rows and columns of the assignment with the largest sum, int (min(N, M), 2)."""
    if min(gains.shape) == 0:
        return np.zeros((0, 2), int)
    if gains.shape == (1, 1):  # most sentences: no need to solve anything
        return np.zeros((1, 2), int)
    from scipy.optimize import linear_sum_assignment

    return np.stack(linear_sum_assignment(gains, maximize=True), axis=1)

"""Measures of a ranking by score; both take tied scores as one step, whatever their order."""

from __future__ import annotations

import numpy as np


def area_under_roc(scores: np.ndarray, relevant: np.ndarray) -> float | None:
    """Probability that a relevant item's score is above an irrelevant one's; ties count half.

    Args:
        scores: (N,), higher is more relevant.
        relevant: bool (N,).

    Returns:
        From 0 to 1, 0.5 for chance; None unless there are items of both kinds.
    """
    if relevant.all() or not relevant.any():
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    rank = (last - (counts - 1) / 2)[place]  # tied items share the mean of their ranks
    positive = int(relevant.sum())
    above = rank[relevant].sum() - positive * (positive + 1) / 2
    return float(above / (positive * (len(scores) - positive)))


def average_precision(scores: np.ndarray, relevant: np.ndarray) -> float | None:
    """Mean over the relevant items of the precision among all items scored at least as high.

    Args:
        scores: (N,), higher is more relevant.
        relevant: bool (N,).

    Returns:
        From 0 to 1, the share of relevant items for equal scores; None without a relevant item.
    """
    if not relevant.any():
        return None
    _, place, counts = np.unique(-scores, return_inverse=True, return_counts=True)
    found = np.bincount(place, weights=relevant)  # relevant items of each distinct score
    precision = np.cumsum(found) / np.cumsum(counts)
    return float((found * precision).sum() / found.sum())

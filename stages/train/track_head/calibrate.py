"""The threshold for sentences without a target, from videos that the head was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stages.core.model.config import TrackThresholds

KEPT_TARGETS = 0.95
"""Share of the held-out sentences with a target that must keep their masks (T-acc)."""


@dataclass(frozen=True)
class Judged:
    """Sentences of held-out videos.

    Attributes:
        probability: (E,) that a sentence has a target, see ``decide.target_probability``.
        has_target: bool (E,), whether it refers to an object, even if no track shows it.
    """

    probability: np.ndarray
    has_target: np.ndarray


def calibrate(judged: Judged) -> TrackThresholds:
    """Choose the highest threshold that keeps enough of the sentences with a target.

    Returns:
        A threshold of 0 where no sentence lacks a target, since such a data set asks for masks
        always; the default if no sentence has one.
    """
    has = judged.has_target
    if not has.any():
        return TrackThresholds()
    if has.all():
        return TrackThresholds(no_target=0.0)
    lowest = np.quantile(judged.probability[has], 1 - KEPT_TARGETS, method="lower")
    return TrackThresholds(no_target=float(lowest))


def empty_rates(judged: Judged, no_target: float) -> dict[str, float]:
    """T-acc and N-acc at a threshold; those that are not defined are left out."""
    kept, has = judged.probability >= no_target, judged.has_target
    found = {}
    if has.any():
        found["T-acc"] = float(kept[has].mean())
    if not has.all():
        found["N-acc"] = float((~kept[~has]).mean())
    return found

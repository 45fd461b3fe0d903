"""Thresholds of the track head, from videos that it was not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.core.model.config import TrackThresholds

KEPT_TARGETS = 0.95
"""Share of the sentences with a target that must not come out empty (T-acc)."""
_GRID = np.arange(0.05, 1.0, 0.05)


@dataclass(frozen=True)
class Judged:
    """Tracks of a held-out video.

    Attributes:
        match: (E, N) probabilities.
        truth: bool (E, N).
        has_target: bool (E,), the sentence refers to an object, whether a track shows it or not.
    """

    match: np.ndarray
    truth: np.ndarray
    has_target: np.ndarray


def calibrate(videos: Sequence[Judged]) -> TrackThresholds:
    """Choose the thresholds.

    `no_target` is the highest one that keeps 95 % of the sentences with a target; 0 where no
    sentence lacks one, since such a data set asks for masks always. `match` gives the best mean
    IoU between chosen and true sets of tracks.

    Returns:
        The defaults if the videos have no sentence with a target.
    """
    best = np.concatenate([_best(video) for video in videos]) if videos else np.zeros(0)
    has = np.concatenate([video.has_target for video in videos]) if videos else np.zeros(0, bool)
    if not has.any():
        return TrackThresholds()
    no_target = 0.0
    if not has.all():
        no_target = float(np.quantile(best[has], 1 - KEPT_TARGETS, method="lower"))
    quality = [np.mean(_set_ious(videos, least)) for least in _GRID]
    return TrackThresholds(no_target=no_target, match=float(_GRID[int(np.argmax(quality))]))


def empty_rates(videos: Sequence[Judged], no_target: float) -> dict[str, float]:
    """T-acc and N-acc at a threshold; those that are not defined are left out."""
    best = np.concatenate([_best(video) for video in videos])
    has = np.concatenate([video.has_target for video in videos])
    found = {}
    if has.any():
        found["T-acc"] = float((best[has] >= no_target).mean())
    if not has.all():
        found["N-acc"] = float((best[~has] < no_target).mean())
    return found


def _best(video: Judged) -> np.ndarray:
    """(E,) match of the best track, 0 without tracks."""
    return video.match.max(axis=1, initial=0.0)


def _set_ious(videos: Sequence[Judged], least: float) -> list[float]:
    """IoU of chosen and true sets, for the sentences with a track to find."""
    values = []
    for video in videos:
        for match, truth in zip(video.match, video.truth, strict=True):
            if truth.any():
                chosen = (match >= least) | (match == match.max())
                values.append(float((chosen & truth).sum() / (chosen | truth).sum()))
    return values or [0.0]

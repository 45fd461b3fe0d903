"""Spans from the scores of a sentence's frames."""

from __future__ import annotations

import numpy as np

from stages.core.media.spans import Span, fill_gaps, spans_of
from stages.tools.select_moments.config import SelectConfig


def spread(scores: np.ndarray, stride: int, frames: int) -> np.ndarray:
    """Spread the scores of every n-th frame: each frame takes the nearest one's.

    Args:
        scores: (frames scored, E).

    Returns:
        (T, E).
    """
    nearest = np.minimum((np.arange(frames) + stride // 2) // stride, len(scores) - 1)
    return scores[nearest]


def smoothed(scores: np.ndarray, window: int) -> np.ndarray:
    """Running mean of (T,) over `window` frames, at the ends over fewer."""
    reach = window // 2
    sums = np.concatenate(([0.0], np.cumsum(scores, dtype=np.float64)))
    frame = np.arange(len(scores))
    low, high = np.maximum(frame - reach, 0), np.minimum(frame + reach + 1, len(scores))
    return (sums[high] - sums[low]) / (high - low)


def choose_spans(scores: np.ndarray, config: SelectConfig) -> list[Span]:
    """Half-open spans of the frames that score high; at least one.

    Args:
        scores: of one sentence, (T,).
    """
    values = smoothed(scores, config.frames_averaged)
    low, high = values.min(), values.max()
    if high <= low:
        return [(0, len(values))]
    chosen = (values - low) / (high - low) >= config.threshold
    spans = spans_of(fill_gaps(chosen, config.fill))
    best = int(values.argmax())
    return [s for s in spans if s[1] - s[0] >= config.drop or s[0] <= best < s[1]]

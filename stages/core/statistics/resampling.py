"""Confidence intervals by resampling videos.

Sentences of one video resemble each other, so whole videos are drawn with replacement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

RESAMPLES = 10_000
CONFIDENCE = 0.95
_SEED = 20_240_607
_BLOCK = 500  # resamples drawn at once, which bounds memory
_HALF = 0.5


def drawn_videos(videos: int) -> Iterator[np.ndarray]:
    """Draw RESAMPLES sets of videos with replacement, the same in every run.

    Yields:
        int (B, V), numbers of videos below `videos`, some hundred sets at a time.
    """
    rng = np.random.default_rng(_SEED)
    for _ in range(0, RESAMPLES, _BLOCK):
        yield rng.integers(0, videos, (_BLOCK, videos))


def percentiles(values: np.ndarray) -> tuple[float, float]:
    """Return the ends of the central part of CONFIDENCE of `values`, float (N,)."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def interval_of_sums(sums: np.ndarray, figures: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Compute intervals of figures that follow from sums over videos.

    Args:
        sums: (V, K), the parts of the sums that each video gives.
        figures: from sums (..., K) to figures (..., M); NaN where one is undefined.

    Returns:
        float64 (M, 2), lower and upper end over the resamples in which the figure is defined; NaN
        if there are fewer than two videos or no such resample.
    """
    parts = [figures(_multiples(drawn) @ sums) for drawn in _draws(len(sums))]
    return _ends(parts, len(figures(sums.sum(0))))


def interval_of_medians(values: np.ndarray, owner: np.ndarray, videos: int) -> np.ndarray:
    """Compute the intervals of medians.

    Args:
        values: (N, M), of M measures.
        owner: int (N,), the video of each row, below `videos`.

    Returns:
        float64 (M, 2), as :func:`interval_of_sums`.
    """
    tables = [_histogram(column, owner, videos) for column in np.transpose(values)]
    parts = []
    for drawn in _draws(videos):
        multiples = _multiples(drawn)
        medians = [weighted_median(known, multiples @ table) for known, table in tables]
        parts.append(np.stack(medians, axis=-1))
    return _ends(parts, np.shape(values)[1])


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute the median of values that occur several times.

    Args:
        values: (D,), ascending.
        weights: (..., D), how often each occurs, whole numbers.

    Returns:
        float64 (...), the middle value, or the mean of the two in the middle; NaN without any.
    """
    if not len(values):
        return np.full(np.shape(weights)[:-1], np.nan)
    sums = np.cumsum(weights, axis=-1)  # (..., D)
    total = sums[..., -1:]
    below = (sums * 2 < total).sum(-1)  # positions of the lower and of the upper middle value
    upto = (sums * 2 <= total).sum(-1)
    last = len(values) - 1
    middle = (values[np.minimum(below, last)] + values[np.minimum(upto, last)]) * _HALF
    return np.where(total[..., 0] > 0, middle, np.nan)


def _draws(videos: int) -> Iterator[np.ndarray]:
    """The draws, none if there are too few videos for an interval."""
    return drawn_videos(videos) if videos > 1 else iter(())


def _multiples(drawn: np.ndarray) -> np.ndarray:
    """How often each video was drawn, float (B, V), from numbers (B, V)."""
    sets, videos = drawn.shape
    places = drawn + np.arange(sets)[:, None] * videos
    counts = np.bincount(places.ravel(), minlength=sets * videos)
    return counts.reshape(sets, videos).astype(float)


def _histogram(values: np.ndarray, owner: np.ndarray, videos: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values (D,) and how often each video has them (V, D)."""
    known, place = np.unique(values, return_inverse=True)
    table = np.zeros((videos, len(known)))
    np.add.at(table, (owner, place), 1)
    return known, table


def _ends(parts: list[np.ndarray], figures: int) -> np.ndarray:
    """Lower and upper ends of figures (B, M) over all draws, (M, 2)."""
    if not parts:
        return np.full((figures, 2), np.nan)
    drawn = np.concatenate(parts)  # (RESAMPLES, M)
    defined = [column[~np.isnan(column)] for column in drawn.T]
    return np.array([percentiles(part) if len(part) else (np.nan, np.nan) for part in defined])

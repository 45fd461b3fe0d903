"""Windows of frames: where they lie, the frames of each that are looked at, and back to frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stages.core.media.spans import Span


def windows_of(num_frames: int, length: int, stride: int) -> list[Span]:
    """Windows that start every `stride` frames and cover the video; the last one ends with it."""
    if num_frames <= length:
        return [(0, num_frames)]
    starts = [*range(0, num_frames - length, stride), num_frames - length]
    return [(start, start + length) for start in starts]


def sampled(frames: Sequence[int], count: int) -> list[int]:
    """Take `count` of the frames, the middles of equal parts; all if there are fewer."""
    if len(frames) <= count:
        return list(frames)
    places = ((np.arange(count) + 0.5) * len(frames) / count).astype(int)
    return [frames[place] for place in places]


def spread_windows(scores: np.ndarray, windows: Sequence[Span], num_frames: int) -> np.ndarray:
    """Give each frame the mean score of the windows that it lies in.

    Args:
        scores: (..., W); NaN for a window that was not judged, which counts for nothing.

    Returns:
        (..., T), 0 where no window was judged. With a stride above the window's length, frames
        between two windows take the nearest one's.
    """
    total = np.zeros((*scores.shape[:-1], num_frames))
    count = np.zeros_like(total)
    for place, (start, end) in enumerate(_covering(windows, num_frames)):
        known = ~np.isnan(scores[..., place])
        total[..., start:end] += np.where(known, scores[..., place], 0.0)[..., None]
        count[..., start:end] += known[..., None]
    return np.divide(total, count, out=np.zeros_like(total), where=count > 0)


def _covering(windows: Sequence[Span], num_frames: int) -> list[Span]:
    """Windows, enlarged over the frames between them where they do not touch."""
    found = []
    for place, (start, end) in enumerate(windows):
        before = windows[place - 1][1] if place else 0
        after = windows[place + 1][0] if place + 1 < len(windows) else num_frames
        low = (before + start) // 2 if before < start else start
        high = (end + after) // 2 if end < after else end
        found.append((low if place else 0, high if place + 1 < len(windows) else num_frames))
    return found

"""Spans of frames, half-open, and the boolean masks over time that they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

Span = tuple[int, int]
"""First frame, and the frame after the last."""
NEVER: Span = (0, 0)
"""In a row of the moments table: the sentence is never true of the referent."""


def is_row_span(start: int, end: int) -> bool:
    """Return whether a row of the moments table may have the span: frames of a video, or NEVER."""
    return 0 <= start < end or (start, end) == NEVER


def spans_of(inside: Sequence[bool] | np.ndarray) -> list[Span]:
    """Maximal spans of the True values of (T,) bool, in order."""
    padded = np.concatenate([[False], np.asarray(inside, bool), [False]])
    bounds = np.flatnonzero(padded[1:] != padded[:-1])
    return [(int(start), int(end)) for start, end in bounds.reshape(-1, 2)]


def span_mask(spans: Iterable[Span], num_frames: int) -> np.ndarray:
    """Bool (T,), True in the frames of any span."""
    inside = np.zeros(num_frames, dtype=bool)
    for start, end in spans:
        inside[start:end] = True
    return inside


def merge_spans(spans: Iterable[Span]) -> list[Span]:
    """The same frames as spans in order that neither overlap nor touch."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def shared_frames(one: Sequence[Span], other: Sequence[Span]) -> int:
    """Number of frames that two lists of spans share, each as :func:`merge_spans` returns it."""
    shared = place = 0
    for start, end in one:
        while place < len(other) and other[place][1] <= start:
            place += 1
        for first, last in other[place:]:
            if first >= end:
                break
            shared += min(end, last) - max(start, first)
    return shared


def fill_gaps(inside: np.ndarray, longest: int) -> np.ndarray:
    """Close gaps of at most `longest` frames between True values of (T,) bool; a copy."""
    filled = inside.copy()
    for start, end in spans_of(~inside):
        between = start > 0 and end < len(inside)
        if between and end - start <= longest:
            filled[start:end] = True
    return filled


def drop_short(inside: np.ndarray, longest: int) -> np.ndarray:
    """Clear spans of at most `longest` frames from (T,) bool; a copy."""
    kept = inside.copy()
    for start, end in spans_of(inside):
        if end - start <= longest:
            kept[start:end] = False
    return kept


def frame_iou(one: Iterable[Span], other: Iterable[Span], num_frames: int) -> float:
    """Frames of both over frames of either; 1 if neither has any."""
    first, second = span_mask(one, num_frames), span_mask(other, num_frames)
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 1.0

"""Agreement of a referent's selected moment with its annotated one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stages.core.media.spans import Span, span_mask


def span_iou(spans: Sequence[tuple[Span, float]], annotated: Sequence[Span]) -> float:
    """IoU of the span with the highest score and the annotated span that it fits best."""
    if not spans:
        return 0.0
    start, end = max(spans, key=lambda scored: scored[1])[0]
    best = 0.0
    for first, last in annotated:
        shared = max(0, min(end, last) - max(start, first))
        best = max(best, shared / (end - start + last - first - shared))
    return best


def frame_iou(
    spans: Sequence[tuple[Span, float]], annotated: Sequence[Span], num_frames: int
) -> float:
    """IoU of the frames in all selected spans and those in all annotated ones."""
    one = span_mask([span for span, _ in spans], num_frames)
    other = span_mask(annotated, num_frames)
    return int((one & other).sum()) / int((one | other).sum())


def frame_precision(scores: np.ndarray, relevant: np.ndarray) -> float:
    """Average precision of frames ranked by score; frames of equal score enter together.

    Args:
        scores: (T,).
        relevant: bool (T,), at least one True.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, found = scores[order], np.cumsum(relevant[order])
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # of each group of equals
    precision = found[last] / (last + 1)
    recalled = np.diff(found[last], prepend=0)
    return float((precision * recalled).sum() / relevant.sum())

"""Measures of predicted moments against annotated ones.

Spans are half-open pairs of frames. Two measures are called temporal IoU: `span_tiou` compares two
spans, `presence_tiou` two sets of frames. Retrieval follows the convention of QVHighlights (Lei et
al., "Detecting Moments and Highlights in Videos", section 5): recall at rank 1 compares the span
with the highest score and the true span that it fits best; average precision goes down the ranked
spans, and each true span is found once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.core.media.spans import Span, span_mask, spans_of
from stages.score.results.frame_rows import mean

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
RECALL_THRESHOLDS = (0.3, 0.5, 0.7)


@dataclass(frozen=True)
class TemporalPrediction:
    """A model's prediction over time for one expression.

    Attributes:
        relevant: bool (T,), whether it took each frame for relevant.
        relevance: float (T,), None if it predicted none.
    """

    relevant: np.ndarray
    relevance: np.ndarray | None


@dataclass(frozen=True)
class TemporalScores:
    """Temporal scores of one expression; None if there is no true span (or no relevance).

    Attributes:
        precision: average precision at each of THRESHOLDS.
        key_frame: whether the frame of highest relevance is in a true span.
    """

    presence_tiou: float
    span_tiou: float | None
    precision: tuple[float, ...] | None
    key_frame: bool | None


def temporal_scores(prediction: TemporalPrediction, spans: Sequence[Span]) -> TemporalScores:
    """Compare a prediction with the annotated spans of all referents.

    Args:
        spans: in any order; their union counts if they overlap.
    """
    true = span_mask(spans, len(prediction.relevant))  # bool (T,)
    presence = presence_tiou(prediction.relevant, true)
    if not true.any():
        return TemporalScores(presence, None, None, None)
    ranked = _ranked(prediction)
    targets = spans_of(true)
    best = max((span_tiou(ranked[0], target) for target in targets), default=0.0) if ranked else 0.0
    precision = tuple(average_precision(ranked, targets, limit) for limit in THRESHOLDS)
    key_frame = None
    if prediction.relevance is not None:
        key_frame = bool(true[int(np.argmax(prediction.relevance))])
    return TemporalScores(presence, best, precision, key_frame)


def worst_scores(has_spans: bool) -> TemporalScores:
    """Return the scores of an expression whose prediction is missing or unusable."""
    if not has_spans:
        return TemporalScores(0.0, None, None, None)
    return TemporalScores(0.0, 0.0, (0.0,) * len(THRESHOLDS), False)


def span_tiou(one: Span, other: Span) -> float:
    """Compute the intersection over union of two spans."""
    shared = min(one[1], other[1]) - max(one[0], other[0])
    if shared <= 0:
        return 0.0
    return shared / (one[1] - one[0] + other[1] - other[0] - shared)


def presence_tiou(one: np.ndarray, other: np.ndarray) -> float:
    """Compute the intersection over union of two sets of frames, bool (T,); 1 if both are empty."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0


def average_precision(ranked: Sequence[Span], targets: Sequence[Span], threshold: float) -> float:
    """Compute the area under precision over recall, with monotone precision as in PASCAL VOC 2010.

    Args:
        ranked: predicted spans, best first; each takes the free target that it fits best, if
            their IoU is at least `threshold`.
    """
    free = list(targets)
    hits = []
    for span in ranked:
        best = max(free, key=lambda target: span_tiou(span, target), default=None)
        found = best is not None and span_tiou(span, best) >= threshold
        hits.append(found)
        if found and best is not None:
            free.remove(best)
    if not any(hits):
        return 0.0
    true = np.cumsum(hits)
    precision = true / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[np.array(hits)].sum()) / len(targets)


def _ranked(prediction: TemporalPrediction) -> list[Span]:
    """Sort the predicted spans by mean relevance, highest first; earlier first among equals."""
    spans = spans_of(prediction.relevant)
    if prediction.relevance is None:
        return spans
    relevance = prediction.relevance
    return sorted(spans, key=lambda span: (-mean(relevance[span[0] : span[1]]), span))

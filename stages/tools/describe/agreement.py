"""How far two sets of moments agree: by frames and by spans, per sentence and in total.

A lane is what is compared: a referent of a sentence if both sets tell its referents apart, else all
of its referents together. A unit is a frame of a lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from stages.core.index.index import Expression, Index
from stages.core.media.spans import Span, span_mask
from stages.core.statistics.chance import alpha, coincidences_of_two, kappa
from stages.core.statistics.matching import f1, hits, matched_pairs, tiou_matrix
from stages.core.statistics.resampling import interval_of_medians, interval_of_sums
from stages.tools.describe.moment_sets import Key, MomentSet

THRESHOLDS = (0.5, 0.7)
FIGURES = (
    *("frame_agreement", "kappa", "alpha", "frame_iou", "span_tiou"),
    *(f"f1@{threshold}" for threshold in THRESHOLDS),
)
EDGES = ("start_difference", "end_difference")
_CELLS = 4  # of a table of two sets that say yes or no
_WIDTH = _CELLS + 5 + len(THRESHOLDS)


@dataclass(frozen=True)
class SentenceAgreement:
    """Comparison of one sentence.

    Attributes:
        lanes: number of lanes; `by_referent` says whether each is a referent.
        table: int (2, 2), frames by what the first and the second set say (0 no, 1 true).
        spans: number of spans of either.
        tious: of the matched spans.
        hits: number of pairs at each of THRESHOLDS.
        edges: int (K, 2), differences of starts and of ends of matched spans, in frames.
    """

    key: Key
    by_referent: bool
    lanes: int
    table: np.ndarray
    spans: tuple[int, int]
    tious: tuple[float, ...]
    hits: tuple[int, ...]
    edges: np.ndarray

    @cached_property
    def sums(self) -> np.ndarray:
        """What the figures are made of, float (_WIDTH,); sentences add up."""
        parts = (sum(self.spans), len(self.tious), sum(self.tious), *self.hits)
        return np.array([*self.table.ravel(), self.frame_iou, 1.0, *parts])

    @property
    def frame_iou(self) -> float:
        """IoU of the frames that either takes as true; 1 if neither takes any."""
        union = self.table.sum() - self.table[0, 0]
        return float(self.table[1, 1] / union) if union else 1.0

    @property
    def figures(self) -> dict[str, float | None]:
        """FIGURES and the median EDGES of this sentence; None where one is undefined."""
        values = {name: _known(x) for name, x in zip(FIGURES, figures(self.sums), strict=True)}
        medians = np.median(self.edges, axis=0) if len(self.edges) else (None, None)
        return {**values, **{n: _known(x) for n, x in zip(EDGES, medians, strict=True)}}


@dataclass(frozen=True)
class PairAgreement:
    """Comparison of two sets of moments.

    Attributes:
        sentences: those that both judge.
        only_one, only_other: sentences that only the first, or only the second judges.
    """

    one: str
    other: str
    sentences: tuple[SentenceAgreement, ...]
    only_one: tuple[Key, ...]
    only_other: tuple[Key, ...]

    def document(self) -> dict[str, Any]:
        """Counts, and every figure with its interval over videos."""
        places = {video: n for n, video in enumerate(sorted({s.key[0] for s in self.sentences}))}
        owner = np.array([places[sentence.key[0]] for sentence in self.sentences], int)
        return {
            "one": self.one,
            "other": self.other,
            "sentences": len(self.sentences),
            "videos": len(places),
            "sentences_by_referent": sum(s.by_referent for s in self.sentences),
            "lanes": sum(s.lanes for s in self.sentences),
            "frames": int(sum(s.table.sum() for s in self.sentences)),
            "spans_of_one": sum(s.spans[0] for s in self.sentences),
            "spans_of_other": sum(s.spans[1] for s in self.sentences),
            "matched_spans": sum(len(s.tious) for s in self.sentences),
            "only_one": [list(key) for key in self.only_one],
            "only_other": [list(key) for key in self.only_other],
            "figures": {
                **self._sums_with_intervals(owner, len(places)),
                **self._medians_with_intervals(owner, len(places)),
            },
        }

    def _sums_with_intervals(self, owner: np.ndarray, videos: int) -> dict[str, Any]:
        rows = np.array([sentence.sums for sentence in self.sentences]).reshape(-1, _WIDTH)
        sums = np.zeros((videos, _WIDTH))
        np.add.at(sums, owner, rows)
        return _with_intervals(FIGURES, figures(sums.sum(0)), interval_of_sums(sums, figures))

    def _medians_with_intervals(self, owner: np.ndarray, videos: int) -> dict[str, Any]:
        edges = [sentence.edges for sentence in self.sentences]
        values = np.concatenate([np.zeros((0, len(EDGES)), int), *edges])
        owners = np.repeat(owner, [len(part) for part in edges]) if edges else owner
        medians = np.median(values, axis=0) if len(values) else np.full(len(EDGES), np.nan)
        return _with_intervals(EDGES, medians, interval_of_medians(values, owners, videos))


def compare(index: Index, one: MomentSet, other: MomentSet) -> PairAgreement:
    """Compare two sets of moments of an index, in the order of its sentences.

    Sentences that both only assume to be never true, for want of a target, are left out.
    """
    shared = one.known & other.known & (one.judged | other.judged)
    only_one, only_other = one.judged - other.known, other.judged - one.known
    keys = [expression.key for expression in index.expressions]
    return PairAgreement(
        one.name,
        other.name,
        tuple(
            compare_sentence(expression, index.videos[expression.video_id].num_frames, one, other)
            for expression in index.expressions
            if expression.key in shared
        ),
        tuple(key for key in keys if key in only_one),
        tuple(key for key in keys if key in only_other),
    )


def compare_sentence(
    expression: Expression, frames: int, one: MomentSet, other: MomentSet
) -> SentenceAgreement:
    """Compare the moments of a sentence that both sets judge."""
    lanes = lanes_of(expression, (one, other))
    table = np.zeros(_CELLS, int)
    spans = [0, 0]
    tious: list[float] = []
    found = np.zeros(len(THRESHOLDS), int)
    edges = []
    for lane in lanes:
        first, second = one.of(expression.key, lane), other.of(expression.key, lane)
        codes = 2 * span_mask(first, frames) + span_mask(second, frames)  # int (T,)
        table += np.bincount(codes, minlength=_CELLS)
        spans = [spans[0] + len(first), spans[1] + len(second)]
        if first and second:
            matched, best, apart = _match(first, second)
            tious += matched
            found += best
            edges.append(apart)
    return SentenceAgreement(
        expression.key,
        lanes != (None,),
        len(lanes),
        table.reshape(2, 2),
        (spans[0], spans[1]),
        tuple(tious),
        tuple(found.tolist()),
        np.concatenate([np.zeros((0, 2), int), *edges]),
    )


def lanes_of(expression: Expression, sets: Sequence[MomentSet]) -> tuple[str | None, ...]:
    """The lanes of a sentence: its referents if every set tells them apart, else None alone."""
    told = expression.anno_ids and all(found.tells_referents(expression.key) for found in sets)
    return tuple(dict.fromkeys(expression.anno_ids)) if told else (None,)


def _match(
    first: Sequence[Span], second: Sequence[Span]
) -> tuple[list[float], list[int], np.ndarray]:
    """IoU of matched spans, hits at each threshold, and differences of edges (K, 2)."""
    one, other = np.array(first), np.array(second)
    tiou = tiou_matrix(one, other)
    rows, columns = matched_pairs(tiou).T
    return (
        tiou[rows, columns].tolist(),
        [hits(tiou, threshold) for threshold in THRESHOLDS],
        np.abs(one[rows] - other[columns]),
    )


def figures(sums: np.ndarray) -> np.ndarray:
    """Compute FIGURES from sums of :attr:`SentenceAgreement.sums`.

    Args:
        sums: (..., _WIDTH).

    Returns:
        float64 (..., M); NaN where one is undefined.
    """
    tables = sums[..., :_CELLS].reshape(*sums.shape[:-1], 2, 2)
    iou, sentences, spans, matched, tiou = np.moveaxis(sums[..., _CELLS : _CELLS + 5], -1, 0)
    found = np.moveaxis(sums[..., _CELLS + 5 :], -1, 0)  # (thresholds, ...)
    agreed = np.trace(tables, axis1=-2, axis2=-1)
    return np.stack(
        [
            _ratio(agreed, tables.sum((-2, -1))),
            kappa(tables),
            alpha(coincidences_of_two(tables)),
            _ratio(iou, sentences),
            _ratio(tiou, matched),
            *(f1(part, spans) for part in found),
        ],
        axis=-1,
    )


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    below = np.asarray(below, float)
    return np.divide(above, below, out=np.full_like(below, np.nan), where=below > 0)


def _with_intervals(
    names: Sequence[str], values: np.ndarray, ends: np.ndarray
) -> dict[str, dict[str, float | None]]:
    return {
        name: {"value": _known(value), "low": _known(low), "high": _known(high)}
        for name, value, (low, high) in zip(names, values, ends, strict=True)
    }


def _known(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else float(value)

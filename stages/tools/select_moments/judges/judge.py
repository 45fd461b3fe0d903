"""What every judge takes and gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stages.core.index.index import Expression, Video
from stages.core.index.masks import Track
from stages.core.media.spans import Span, fill_gaps, spans_of
from stages.tools.select_moments.config import SelectConfig

Advance = Callable[[int], None]
"""Reports frames that were judged."""


@dataclass(frozen=True)
class Pair:
    """A sentence and a track that it may describe.

    Attributes:
        row: of the sentence in its video.
        anno_id: of the track.
    """

    row: int
    anno_id: str


@dataclass(frozen=True)
class Case:
    """One video to judge: its sentences, and the tracks that they may describe.

    Attributes:
        video: with its frames.
        expressions: E sentences.
        tracks: masks by frame of every track, by anno id.
    """

    video: Video
    expressions: Sequence[Expression]
    tracks: Mapping[str, Track]

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """The P pairs, in the order of sentences, then of their tracks; invisible tracks too."""
        return tuple(
            Pair(row, anno_id)
            for row, expression in enumerate(self.expressions)
            for anno_id in dict.fromkeys(expression.anno_ids)
        )

    def visible(self, anno_id: str) -> np.ndarray:
        """Bool (T,): frames that show a track."""
        shown = np.zeros(self.video.num_frames, bool)
        shown[[frame for frame in self.tracks[anno_id] if frame < len(shown)]] = True
        return shown


@dataclass(frozen=True)
class Verdict:
    """The judgement on one pair.

    Attributes:
        pair: of a sentence and a track.
        accepted: the sentence describes the track.
        score: from 0 to 1; from the judge's threshold on, the track is accepted.
        spans: frames in which the sentence is true of the track, each with its score.
        frame_scores: float (T,), None from a judge that scores no frames.
    """

    pair: Pair
    accepted: bool
    score: float
    spans: tuple[tuple[Span, float], ...] = ()
    frame_scores: np.ndarray | None = None


class Judge(ABC):
    """Judges the tracks of one video after another.

    Attributes:
        source: the judge's name in the moments table.
    """

    source: str

    @abstractmethod
    def judge(self, case: Case, advance: Advance) -> list[Verdict]:
        """Judge every pair of a video, in the order of ``case.pairs``.

        Raises:
            MissingInput, CorruptInput: an input of the video cannot be read.
        """


@dataclass(frozen=True)
class Scores:
    """Scores of the P pairs of a video.

    Attributes:
        frames: float (P, T) from 0 to 1; 0 where a track is not visible.
        whole: (P,) from 0 to 1, the score by which a track is accepted; None for the mean score of
            the moment that is chosen from ``frames``.
    """

    frames: np.ndarray
    whole: np.ndarray | None = None


class ScoringJudge(Judge):
    """A judge that scores frames; spans are chosen by the settings alone.

    Args:
        config: threshold, gaps, and acceptance.
    """

    def __init__(self, config: SelectConfig):
        self._config = config

    @abstractmethod
    def scores(self, case: Case, advance: Advance) -> Scores:
        """Score the frames of every pair."""

    def judge(self, case: Case, advance: Advance) -> list[Verdict]:
        """See ``Judge``."""
        scores = self.scores(case, advance)
        return [
            self._verdict(
                case,
                pair,
                scores.frames[row],
                None if scores.whole is None else float(scores.whole[row]),
            )
            for row, pair in enumerate(case.pairs)
        ]

    def _verdict(self, case: Case, pair: Pair, frames: np.ndarray, whole: float | None) -> Verdict:
        visible = case.visible(pair.anno_id)
        if not visible.any():
            return Verdict(pair, accepted=False, score=0.0, frame_scores=frames)
        spans = choose_spans(frames, visible, self._config)
        inside = np.concatenate([frames[start:end] for start, end in spans])
        score = float(inside.mean()) if whole is None else whole
        if score < self._config.accept:
            return Verdict(pair, accepted=False, score=score, frame_scores=frames)
        scored = tuple((span, float(frames[span[0] : span[1]].mean())) for span in spans)
        return Verdict(pair, True, score, scored, frames)


def choose_spans(scores: np.ndarray, visible: np.ndarray, config: SelectConfig) -> list[Span]:
    """Choose the spans of a track's moment; at least one.

    A frame belongs to the moment if its score reaches a share of the track's highest one. Gaps are
    filled, then short spans are dropped, except the one with the best frame.

    Args:
        scores: (T,) from 0 to 1.
        visible: bool (T,), with at least one True.
        config: the share, the longest gap, and the shortest span.
    """
    shown = np.where(visible, scores, -1.0)
    best = int(shown.argmax())
    chosen = shown >= max(config.threshold * float(shown[best]), 0.0)
    spans = spans_of(fill_gaps(chosen & visible, config.fill))
    return [s for s in spans if s[1] - s[0] >= config.drop or s[0] <= best < s[1]]

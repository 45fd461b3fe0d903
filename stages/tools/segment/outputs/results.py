"""Results of `tgl segment`: a sentence's moments and masks, and the line that sums them up."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from schemas.layouts import PROPAGATION_TABLE
from schemas.parquet import read_table
from schemas.printable import printable
from schemas.tables import PROPAGATION
from schemas.vocabulary import BEST_FRAME, GUIDED, PROMPTED
from schemas.wording import amount
from stages.core.index.index import Expression, Index, Video
from stages.core.media.spans import Span, spans_of
from stages.core.media.timed_video import end_time

Seconds = tuple[float, float]
NO_MOMENT = "no moment predicted"
_LARGEST_LOGIT = 500.0
"""Beyond it the probability is 0 or 1 in any case, and the exponential overflows."""


@dataclass(frozen=True)
class SentenceResult:
    """Result of one sentence.

    Attributes:
        expression: the sentence.
        relevance: probability that the sentence is true in a frame, per frame.
        confidence: probability that the object is in a frame, per frame; None without a track.
        routes: how each frame was segmented, one of ``schemas.vocabulary.ROUTES``.
        areas: pixels of the mask, per frame.
    """

    expression: Expression
    relevance: tuple[float | None, ...]
    confidence: tuple[float | None, ...]
    routes: tuple[str, ...]
    areas: tuple[int, ...]

    @property
    def moments(self) -> tuple[Span, ...]:
        """Half-open spans of the frames on the language path."""
        return tuple(spans_of([route in GUIDED for route in self.routes]))

    @property
    def best_frame(self) -> int | None:
        """The frame that stands in for a moment, where none was predicted."""
        return self.routes.index(BEST_FRAME) if BEST_FRAME in self.routes else None

    @property
    def prompted(self) -> bool:
        """Whether it is an object that was prompted by hand, and has no moments."""
        return PROMPTED in self.routes

    @property
    def visible(self) -> tuple[Span, ...]:
        """Half-open spans of the frames whose mask is not empty."""
        return tuple(spans_of([area > 0 for area in self.areas]))


def read_results(index_folder: Path, preds: Path) -> Iterator[tuple[Video, list[SentenceResult]]]:
    """Yield each video of an index, and the results of its sentences in propagate's artifact."""
    index = Index.open(index_folder)
    table = read_table(preds / PROPAGATION_TABLE, PROPAGATION)
    for video in index.videos.values():
        own = table.filter(pc.equal(table["video_id"], video.video_id))
        yield video, _results(index.expressions_of(video.video_id), own)


def _results(expressions: Sequence[Expression], table: pa.Table) -> list[SentenceResult]:
    """The results of the sentences of one video from its rows."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in table.sort_by("frame").to_pylist():
        rows.setdefault(row["expression_id"], []).append(row)
    results = []
    for expression in expressions:
        own = rows[expression.expression_id]
        results.append(
            SentenceResult(
                expression,
                tuple(row["relevance"] for row in own),
                tuple(probability(row["object_score"]) for row in own),
                tuple(row["route"] for row in own),
                tuple(row["mask_area"] for row in own),
            )
        )
    return results


def probability(score: float | None) -> float | None:
    """The probability of a logit, an object score of SAM 2; None for None or NaN."""
    if score is None or math.isnan(score):
        return None
    return 1 / (1 + math.exp(-max(-_LARGEST_LOGIT, min(score, _LARGEST_LOGIT))))


def summary_line(
    video: Video,
    result: SentenceResult,
    times: Sequence[float] | None = None,
    objects: int | None = None,
) -> str:
    """Sum up a sentence for the terminal: its moments, and the number of frames with a mask.

    Args:
        times: seconds of each frame if the video's rate varies.
        objects: number of objects that the mask consists of, where they are told apart.
    """
    visible = sum(end - start for start, end in result.visible)
    seconds = even_seconds(result.moments, video.fps)
    if times is not None:
        edges = (*times, end_time(times))
        seconds = [(edges[start], edges[end]) for start, end in result.moments]
    return describe_moments(
        result.expression.text,
        result.moments,
        visible,
        frames=video.num_frames,
        seconds=seconds,
        objects=objects,
        predicted=result.best_frame is None,
    )


def even_seconds(spans: Sequence[Span], fps: float | None) -> list[Seconds]:
    """Start and end of spans of frames at a constant rate; empty if it is not known."""
    return [(start / fps, end / fps) for start, end in spans] if fps else []


def even_times(frames: int, fps: float | None) -> list[float | None]:
    """The time of each frame at a constant rate; None where it is not known."""
    return [frame / fps if fps else None for frame in range(frames)]


def describe_moments(
    sentence: str,
    moments: Sequence[Span],
    visible: int,
    *,
    frames: int,
    seconds: Sequence[Seconds],
    objects: int | None = None,
    predicted: bool = True,
) -> str:
    """Sum up a sentence as :func:`summary_line` does.

    Args:
        moments: half-open spans; none of an object that was prompted by hand.
        visible: number of frames with a mask.
        frames: number of frames of the video.
        seconds: start and end of each moment; empty if they are not known.
        objects: that were found, where they are told apart.
        predicted: else the moment is the best frame, because no moment was predicted.
    """
    quoted = f'"{printable(sentence)}"'
    if not visible:
        return f"{quoted}: nothing found"
    count = "" if objects is None else amount(objects, "objects")
    if frames == 1:
        return f"{quoted}: {count or 'found'}{'' if predicted else f' ({NO_MOMENT})'}"
    count = count and f"{count}, "
    when = f"moment {_times(moments, seconds)}, " if moments else ""
    if not predicted:
        when = f"{NO_MOMENT}, best {_times(moments, seconds)}, "
    return f"{quoted}: {when}{count}mask in {visible} of {frames} frames"


def _times(spans: Sequence[Span], seconds: Sequence[Seconds]) -> str:
    parts = [f"frame {a}" if b - a == 1 else f"frames {a}-{b - 1}" for a, b in spans]
    if seconds:
        parts = [
            f"{part} ({start:.1f}-{end:.1f} s)"
            for part, (start, end) in zip(parts, seconds, strict=True)
        ]
    return ", ".join(parts)

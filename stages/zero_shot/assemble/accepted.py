"""The tracks that a moments table accepts for each sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from schemas.errors import CorruptInput
from schemas.parquet import read_table
from schemas.tables import MOMENTS
from stages.core.index.index import Expression, Index
from stages.core.media.spans import NEVER

Key = tuple[str, str]
Spans = list[tuple[int, int, float | None]]
"""Start and end frame (half-open) and score of each span."""


@dataclass(frozen=True)
class Accepted:
    """A track that belongs to a sentence.

    Attributes:
        anno_id: of the track.
        relevance: float32 (T,), the score of the spans that a frame lies in; NaN where they have
            none, and outside of the moment.
        moment: bool (T,), the frames of its spans.
    """

    anno_id: str
    relevance: np.ndarray
    moment: np.ndarray

    @property
    def score(self) -> float | None:
        """The highest score of its spans; None if they have none."""
        known = self.relevance[~np.isnan(self.relevance)]
        return float(known.max()) if len(known) else None


def read_accepted(path: Path, index: Index) -> dict[Key, list[Accepted]]:
    """Read the accepted tracks of each sentence, in the order in which the index lists them.

    A row without `anno_id` accepts all tracks of its sentence.

    Raises:
        CorruptInput: a row names a sentence or a track that the index does not have, or a span
            that does not lie in the video.
    """
    columns = ["video_id", "expression_id", "anno_id", "start_frame", "end_frame", "score"]
    table = read_table(path, MOMENTS, columns=columns)
    expressions = {expression.key: expression for expression in index.expressions}
    spans: dict[Key, dict[str, Spans]] = {}
    for video, name, anno, start, end, score in zip(
        *(table.column(column).to_pylist() for column in columns), strict=True
    ):
        expression = expressions.get((video, name))
        where = f"{path}, video {video}, expression {name}"
        if expression is None:
            raise CorruptInput("the index has no such sentence", where=where)
        if (start, end) == NEVER:
            continue
        if not 0 <= start < end <= index.videos[video].num_frames:
            raise CorruptInput(
                f"span [{start}, {end}) is empty or leaves the video's "
                f"{index.videos[video].num_frames} frames",
                where=where,
            )
        for track in _named(expression, anno, where):
            own = spans.setdefault(expression.key, {}).setdefault(track, [])
            own.append((start, end, score))
    return {
        key: _in_order(expressions[key], own, index.videos[key[0]].num_frames)
        for key, own in spans.items()
    }


def _named(expression: Expression, anno: str | None, where: str) -> Sequence[str]:
    """The tracks that a row names."""
    if anno is None:
        return expression.anno_ids
    if anno not in expression.anno_ids:
        raise CorruptInput(
            f"{anno} is not a track of this sentence",
            where=where,
            hint="the moments must be selected on the same index of tracks",
        )
    return (anno,)


def _in_order(
    expression: Expression, spans: Mapping[str, Spans], num_frames: int
) -> list[Accepted]:
    return [
        _accepted(anno, spans[anno], num_frames)
        for anno in dict.fromkeys(expression.anno_ids)
        if anno in spans
    ]


def _accepted(anno: str, spans: Spans, num_frames: int) -> Accepted:
    relevance = np.full(num_frames, np.nan, np.float32)
    moment = np.zeros(num_frames, bool)
    for start, end, score in spans:
        moment[start:end] = True
        if score is not None:
            relevance[start:end] = np.fmax(relevance[start:end], np.float32(score))
    return Accepted(anno, relevance, moment)

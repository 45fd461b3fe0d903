"""The objects that a judge accepted for a sentence, in all frames of a video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from schemas.layouts import MOMENTS_TABLE
from schemas.parquet import read_table
from schemas.tables import MOMENTS
from stages.core.index.index import Expression, Index, Video
from stages.core.media.spans import Span, span_mask, spans_of
from stages.tools.segment.between.choosing import nearest_known
from stages.tools.segment.between.objects import object_masks


@dataclass(frozen=True)
class AcceptedObject:
    """A track that a judge accepted for a sentence.

    Attributes:
        masks: bool (T, H, W).
        moments: half-open spans of frames in which the sentence is true of it.
        score: the highest of its moments; None if the judge gives none.
    """

    anno_id: str
    masks: np.ndarray
    moments: tuple[Span, ...]
    score: float | None


def accepted_objects(
    video: Video, expression: Expression, tracks: Path, moments: Path
) -> list[AcceptedObject]:
    """The accepted tracks of a sentence, the best first.

    Args:
        video: with all of its frames.
        tracks: index of the tracks, of these frames or of some of them.
        moments: artifact of the judge.
    """
    index = Index.open(tracks)
    some = index.videos[video.video_id]
    number = {name: frame for frame, name in enumerate(video.frame_names)}
    known = [number[name] for name in some.frame_names]
    nearest = nearest_known(video.num_frames, known)
    found = []
    for anno_id, rows in _rows_of(expression, moments).items():
        spans = [(start, end) for start, end, _ in rows]
        scores = [score for _, _, score in rows if score is not None]
        inside = span_mask(spans, some.num_frames)[nearest]
        found.append(
            AcceptedObject(
                anno_id,
                np.stack(list(object_masks(index, anno_id, video, known))),
                tuple(spans_of(inside)),
                max(scores, default=None),
            )
        )
    return sorted(found, key=lambda one: -np.inf if one.score is None else one.score, reverse=True)


def _rows_of(
    expression: Expression, moments: Path
) -> dict[str, list[tuple[int, int, float | None]]]:
    """Start, end and score of the moments of a sentence by track."""
    columns = ["video_id", "expression_id", "anno_id", "start_frame", "end_frame", "score"]
    rows = read_table(moments / MOMENTS_TABLE, MOMENTS, columns=columns).to_pylist()
    found: dict[str, list[tuple[int, int, float | None]]] = {}
    for row in rows:
        if (row["video_id"], row["expression_id"]) == expression.key and row["anno_id"]:
            span = row["start_frame"], row["end_frame"], row["score"]
            found.setdefault(row["anno_id"], []).append(span)
    return found

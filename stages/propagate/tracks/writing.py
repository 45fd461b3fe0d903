"""Writing the masks of sentences as unions of tracks, and the rows that name these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from schemas.parquet import rows_of
from schemas.tables import MOMENTS, OBJECTS
from schemas.vocabulary import PREDICTED
from stages.core.index.index import Expression
from stages.core.index.mask_writer import MaskWriter
from stages.core.media.mask_bits import count_pixels, empty_bits
from stages.core.media.spans import Span
from stages.core.model.object_tracks.records import ObjectTracks
from stages.propagate.jobs import Job


@dataclass(frozen=True)
class Chosen:
    """A track that belongs to a sentence.

    Attributes:
        number: of the track in its video, from 0.
        score: by which it was chosen.
        moments: frames in which the sentence is true of it.
        source: of these, in the moments table.
    """

    number: int
    score: float
    moments: Sequence[Span] = ()
    source: str = PREDICTED


def write_chosen(
    job: Job, tracks: ObjectTracks, chosen: Sequence[Sequence[Chosen]], writer: MaskWriter
) -> np.ndarray:
    """Write the masks of all sentences of a video in every frame; black where nothing is chosen.

    Args:
        job: E sentences of a video of T frames.
        tracks: of the video.
        chosen: tracks of each sentence, the best first.
        writer: takes masks, and the rows of the tables of objects and moments.

    Returns:
        int64 (E, T) pixels of the masks.
    """
    video = job.video
    areas = np.zeros((len(job.expressions), video.num_frames), np.int64)
    used = sorted({own.number for sentence in chosen for own in sentence})
    place = {number: n for n, number in enumerate(used)}
    black = empty_bits(video.height, video.width)
    for frame in range(video.num_frames):
        masks = tracks.full(frame, used) if used else black[None]  # (n, H, ceil(W / 8))
        for row, expression in enumerate(job.expressions):
            own = [masks[place[track.number]] for track in chosen[row]]
            bits = np.bitwise_or.reduce(own) if own else black
            areas[row, frame] = count_pixels(bits)
            writer.write_bits(video, expression, frame, bits)
    for expression, sentence in zip(job.expressions, chosen, strict=True):
        writer.keep_rows(expression, OBJECTS.name, _objects(expression, tracks, sentence))
        writer.keep_rows(expression, MOMENTS.name, _moments(expression, tracks, sentence))
    return areas


def _objects(expression: Expression, tracks: ObjectTracks, chosen: Sequence[Chosen]) -> pa.Table:
    """Rows of the objects table for a sentence."""
    rows = [
        {
            "video_id": expression.video_id,
            "expression_id": expression.expression_id,
            "anno_id": tracks.names[own.number],
            "number": number,
            "score": own.score,
            "visible_frames": tracks.visible(own.number),
        }
        for number, own in enumerate(chosen, start=1)
    ]
    return rows_of(rows, OBJECTS)


def _moments(expression: Expression, tracks: ObjectTracks, chosen: Sequence[Chosen]) -> pa.Table:
    """Rows of the moments table for a sentence: spans of each of its tracks."""
    rows = [
        {
            "video_id": expression.video_id,
            "expression_id": expression.expression_id,
            "anno_id": tracks.names[own.number],
            "start_frame": start,
            "end_frame": end,
            "source": own.source,
            "score": own.score,
        }
        for own in chosen
        for start, end in own.moments
    ]
    return rows_of(rows, MOMENTS)

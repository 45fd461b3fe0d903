"""The tables of an index of tracks: every reader of an index reads them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from schemas.layouts import EXPRESSIONS_TABLE, MOMENTS_TABLE, TRACKS_TABLE, VIDEOS_TABLE
from schemas.parquet import rows_of
from schemas.tables import EXPRESSIONS, MOMENTS, TRACKS, VIDEOS
from stages.core.engine.workspace import Workspace
from stages.core.index.index import Index, Video, track_number
from stages.core.index.mask_table import write_mask_table
from stages.zero_shot.track.units import TrackCounts, VideoTracks


@dataclass
class WrittenIndex:
    """Content of an index of tracks.

    Attributes:
        videos, expressions, masks: numbers of them.
        bare_videos: ids of the videos without any track.
        bare_expressions: number of sentences without any.
        counts: sums over the videos.
    """

    videos: int = 0
    expressions: int = 0
    masks: int = 0
    bare_videos: list[str] = field(default_factory=list)
    bare_expressions: int = 0
    counts: TrackCounts = field(default_factory=TrackCounts)


def write_index(
    index: Index, videos: Sequence[Video], take: Callable[[Video], VideoTracks], out: Workspace
) -> WrittenIndex:
    """Write all tables: videos, sentences with their tracks, masks, tracks, and no moments.

    A track is visible where it has a mask; in which of these frames a sentence is true of it is for
    a judge to say (tgl select-moments), so the moments table is empty.

    Args:
        index: of the sentences.
        videos: that are written, in the order of the index.
        take: gives the tracks of a video.
    """
    written = WrittenIndex(videos=len(videos))
    names: list[tuple[str, Video]] = []
    expressions: list[dict[str, object]] = []
    with out.table_writer(TRACKS_TABLE, TRACKS) as table:
        for video in videos:
            found = take(video)
            table.write(_in_order(index, video, found.tracks))
            written.counts.add(found.counts)
            anno_ids = pc.unique(found.tracks.column("anno_id")).to_pylist()
            names += [(name, video) for name in anno_ids]
            expressions += _expressions(index, video, found.tracks)
            if not anno_ids:
                written.bare_videos.append(video.video_id)
    written.expressions = len(expressions)
    written.bare_expressions = sum(not row["anno_ids"] for row in expressions)
    out.write_table(VIDEOS_TABLE, rows_of(map(_Row(out), videos), VIDEOS), VIDEOS)
    out.write_table(EXPRESSIONS_TABLE, rows_of(expressions, EXPRESSIONS), EXPRESSIONS)
    out.write_table(MOMENTS_TABLE, MOMENTS.schema.empty_table(), MOMENTS)
    written.masks = write_mask_table(out, _masks(names, take))
    return written


def _in_order(index: Index, video: Video, tracks: pa.Table) -> pa.Table:
    """Rows of a video in the order of the index's sentences, the best track first."""
    place = {e.expression_id: n for n, e in enumerate(index.expressions_of(video.video_id))}
    rows = tracks.to_pylist()
    order = sorted(
        range(len(rows)),
        key=lambda n: (place[rows[n]["expression_id"]], -rows[n]["score"], rows[n]["anno_id"]),
    )
    return tracks.take(pa.array(order, pa.int64()))


def _expressions(index: Index, video: Video, tracks: pa.Table) -> Iterator[dict[str, object]]:
    """Rows of the sentences of a video, each with the tracks of its candidates, best first."""
    own: dict[str, list[str]] = {}
    for row in _in_order(index, video, tracks).select(["expression_id", "anno_id"]).to_pylist():
        own.setdefault(row["expression_id"], []).append(row["anno_id"])
    for expression in index.expressions_of(video.video_id):
        anno_ids = own.get(expression.expression_id, [])
        yield {
            "video_id": video.video_id,
            "expression_id": expression.expression_id,
            "expression": expression.text,
            "object_ids": [track_number(name) for name in anno_ids],
            "anno_ids": anno_ids,
        }


@dataclass(frozen=True)
class _Row:
    """Makes the row of a video, whose frames are where they were."""

    out: Workspace

    def __call__(self, video: Video) -> dict[str, object]:
        # The scratch folder lies beside the final one: a relative path holds for both.
        frames = os.path.relpath(video.frames_dir.resolve(), self.out.path.resolve())
        return {
            "video_id": video.video_id,
            "num_frames": video.num_frames,
            "height": video.height,
            "width": video.width,
            "fps": video.fps,
            "frame_names": list(video.frame_names),
            "frame_suffix": video.frame_suffix,
            "frames_dir": frames,
        }


def _masks(
    names: Sequence[tuple[str, Video]], take: Callable[[Video], VideoTracks]
) -> Iterator[pa.Table]:
    """The rows of each track, in the order of the anno ids; one video is in memory at a time."""
    held: tuple[str, pa.Table] | None = None
    for name, video in sorted(names, key=lambda pair: pair[0]):
        if held is None or held[0] != video.video_id:
            held = (video.video_id, take(video).masks)
        yield held[1].filter(pc.equal(held[1].column("anno_id"), name))

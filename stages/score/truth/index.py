"""Ground truth from an index: masks are read from its Parquet file, a track at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.layouts import MASKS_TABLE
from stages.core.index.index import Index, Moments
from stages.core.index.masks import MaskStore
from stages.core.media.spans import Span
from stages.score.cases import Case, VideoCases
from stages.score.masks.packed_masks import Rows
from stages.score.masks.rle import decode_runs


@dataclass(frozen=True)
class IndexTracks:
    """Tracks by anno id in the masks table of an index."""

    folder: Path

    def open(self) -> IndexReader:
        """Open the table in this process."""
        return IndexReader(self.folder / MASKS_TABLE)


class IndexReader:
    """Reads masks of an index; see :class:`stages.score.cases.TrackReader`."""

    def __init__(self, path: Path):
        self._path = path
        self._store = MaskStore(path)

    def rows(self, track: str, frame: int) -> tuple[Rows, int] | None:
        """The mask of an anno id in a frame."""
        rle = self._store.rle(track, frame)
        if rle is None:
            return None
        height, width = rle["size"]
        where = f"{self._path}, anno id {track}, frame {frame}"
        return decode_runs(rle["counts"], height, width, where=where), width

    def frames(self, track: str) -> set[int]:
        """Frames in which the anno id is visible."""
        return set(self._store.frames_of(track))


def read_index(folder: Path) -> list[VideoCases]:
    """All cases of an index, in its order.

    Raises:
        TglError: as :meth:`Index.open`.
    """
    index = Index.open(folder)
    videos = []
    for video in index.videos.values():
        cases = [
            Case(
                video_id=video.video_id,
                expression_id=expression.expression_id,
                text=expression.text,
                tracks=tuple(dict.fromkeys(expression.anno_ids)),
                frames=tuple(range(video.num_frames)),
                folder=f"{video.video_id}/{expression.expression_id}",
                moments=referent_spans(index.moments(*expression.key), expression.anno_ids),
            )
            for expression in index.expressions_of(video.video_id)
        ]
        videos.append(
            VideoCases(
                video_id=video.video_id,
                frame_names=video.frame_names,
                size=(video.height, video.width),
                cases=tuple(cases),
                tracks=IndexTracks(folder),
                pictures=(str(video.frames_dir), video.frame_suffix),
            )
        )
    return videos


def referent_spans(moments: Moments, annos: tuple[str, ...]) -> tuple[tuple[Span, ...], ...] | None:
    """Spans of each referent; of all together where they are not told apart.

    Returns:
        None where no moments are known although there are referents.
    """
    if not moments:
        return None if annos else ()
    return tuple(tuple(sorted(spans)) for spans in moments.values())

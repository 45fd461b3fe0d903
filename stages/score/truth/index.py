"""Ground truth from an index, whose masks are read one track at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.layouts import MASKS_TABLE
from stages.core.index.index import Index, Moments
from stages.core.index.masks import MaskStore
from stages.core.media.spans import Span
from stages.score.cases import Case, VideoCases
from stages.score.masks.packed_masks import PackedMask
from stages.score.masks.rle import pack_rle


@dataclass(frozen=True)
class IndexTracks:
    """Tracks in the masks table of an index, by anno id."""

    folder: Path

    def open(self) -> IndexReader:
        """Open the table in this process."""
        return IndexReader(self.folder / MASKS_TABLE)


class IndexReader:
    """Reads masks of an index; see :class:`stages.score.cases.TrackReader`."""

    def __init__(self, path: Path):
        self._path = path
        self._store = MaskStore(path)

    def mask(self, track: str, frame: int) -> PackedMask | None:
        """Read the mask of an anno id in a frame."""
        rle = self._store.rle(track, frame)
        if rle is None:
            return None
        height, width = rle["size"]
        where = f"{self._path}, anno id {track}, frame {frame}"
        return pack_rle(rle["counts"], (height, width), where=where)

    def frames(self, track: str) -> set[int]:
        """Return the frames in which the anno id is visible."""
        return set(self._store.frames_of(track))


def read_index(folder: Path) -> list[VideoCases]:
    """Read all cases of an index, in its order.

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
                frames_dir=str(video.frames_dir),
                frame_suffix=video.frame_suffix,
            )
        )
    return videos


def referent_spans(moments: Moments, annos: tuple[str, ...]) -> tuple[tuple[Span, ...], ...] | None:
    """List the spans of each referent, or of all together if the moments do not tell them apart.

    Returns:
        None if no moments are known although there are referents.
    """
    if not moments:
        return None if annos else ()
    return tuple(tuple(sorted(spans)) for spans in moments.values())

"""An index folder: videos, expressions, moments and masks of one split."""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.errors import CorruptInput, MissingInput
from schemas.layouts import (
    EXPRESSIONS_TABLE,
    MASKS_TABLE,
    MOMENTS_TABLE,
    VIDEOS_TABLE,
    safe_name,
    video_name,
)
from schemas.parquet import read_table
from schemas.tables import EXPRESSIONS, MOMENTS, VIDEOS
from schemas.wording import amount
from stages.core.index.masks import MaskStore
from stages.core.media.frames import MAX_PIXELS
from stages.core.media.spans import NEVER, Span, is_row_span, span_mask

Moments = dict[str | None, list[Span]]
_ROWS_AT_A_TIME = 2048
_SUFFIX = re.compile(r"\.\w{1,8}")


@dataclass(frozen=True)
class Video:
    """A video of the index.

    Attributes:
        frame_names: file names without suffix, in the order of the data set.
        frames_dir: the folder with this video's frames.
    """

    video_id: str
    num_frames: int
    height: int
    width: int
    fps: float | None
    frame_names: tuple[str, ...]
    frame_suffix: str
    frames_dir: Path

    def frame_path(self, frame: int) -> Path:
        """The file of a frame by its position."""
        return self.frames_dir / f"{self.frame_names[frame]}{self.frame_suffix}"


@dataclass(frozen=True, slots=True)
class Expression:
    """A sentence about a video; `anno_ids` are the tracks of its referents (maybe none)."""

    video_id: str
    expression_id: str
    text: str
    object_ids: tuple[str, ...]
    anno_ids: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str]:
        """(video_id, expression_id), which identifies a result; the sentence alone does not."""
        return self.video_id, self.expression_id


class Index:
    """Videos, expressions, moments and masks of one split.

    Use :meth:`open`; tables are checked against each other there.
    """

    def __init__(
        self,
        folder: Path,
        videos: dict[str, Video],
        expressions: list[Expression],
        moments: dict[tuple[str, str], Moments],
    ):
        self.folder = folder
        self.videos = videos
        self.expressions = expressions
        self._moments = moments
        self._by_video: dict[str, list[Expression]] = defaultdict(list)
        for expression in expressions:
            self._by_video[expression.video_id].append(expression)

    def __getstate__(self) -> dict[str, object]:
        """The tables, for another process; it opens the masks for itself."""
        return {name: value for name, value in self.__dict__.items() if name != "masks"}

    @classmethod
    def open(cls, folder: Path) -> Index:
        """Read the small tables of an index; masks stay on disk.

        Raises:
            MissingInput: a table is missing.
            CorruptInput: an expression or a moment names an unknown video or object.
        """
        if not folder.is_dir():
            raise MissingInput(
                "no such index", where=folder, hint="make one with tgl build-moments"
            )
        videos = _read_videos(folder)
        expressions = _read_expressions(folder, videos)
        moments = read_moments(folder / MOMENTS_TABLE)
        _check_moments(folder / MOMENTS_TABLE, moments, expressions, videos)
        return cls(folder, videos, expressions, moments)

    def expressions_of(self, video_id: str) -> list[Expression]:
        """The expressions of a video in the order of the table."""
        return self._by_video.get(video_id, [])

    def moments(self, video_id: str, expression_id: str) -> Moments:
        """Spans by referent (None: all referents together); empty if nothing is known.

        A referent without a span is known never to be what the sentence says.
        """
        return self._moments.get((video_id, expression_id), {})

    def is_never(self, video_id: str, expression_id: str) -> bool:
        """Whether the sentence is known to be never true, with or without referents."""
        moments = self.moments(video_id, expression_id)
        return bool(moments) and not any(moments.values())

    def has_target(self, expression: Expression) -> bool:
        """Whether a sentence has referents, and is not known to be never true of them."""
        return bool(expression.anno_ids) and not self.is_never(*expression.key)

    def relevant(self, video_id: str, expression_id: str) -> np.ndarray:
        """M+: bool (T,), true in the spans of any referent."""
        spans = [s for group in self.moments(video_id, expression_id).values() for s in group]
        return span_mask(spans, self.videos[video_id].num_frames)

    def require_frames(self, *, every_video: bool = False) -> None:
        """Check that the frames of the index exist, as they do not once it was moved.

        Args:
            every_video: the frames of every video must exist, not only of one.

        Raises:
            MissingInput: they do not.
        """
        absent = [video for video in self.videos.values() if not video.frames_dir.is_dir()]
        if absent and (every_video or len(absent) == len(self.videos)):
            raise MissingInput(
                f"no frames of {len(absent):,} of {amount(len(self.videos), 'videos')}, first "
                f"{os.path.normpath(absent[0].frames_dir)}",
                where=self.folder,
                hint="rebuild the index with --frames FOLDER",
            )

    @cached_property
    def masks(self) -> MaskStore:
        """The masks, opened at first use."""
        return MaskStore(self.folder / MASKS_TABLE)


def read_moments(path: Path) -> dict[tuple[str, str], Moments]:
    """Read a moments table: sorted spans by (video_id, expression_id) and referent; none: never."""
    columns = ["video_id", "expression_id", "anno_id", "start_frame", "end_frame"]
    table = read_table(path, MOMENTS, columns=columns)
    result: dict[tuple[str, str], Moments] = {}
    same = _Shared()
    for video, expression, anno, start, end in _rows(table, columns):
        if not is_row_span(start, end):
            raise CorruptInput(
                f"span [{start}, {end}) of video {video}, expression {expression} is empty or "
                "starts before the video",
                where=path,
            )
        moments = result.setdefault((same[video], same[expression]), {})
        spans = moments.setdefault(same[anno], [])
        if (start, end) != NEVER:
            spans.append(same[start, end])
    for moments in result.values():
        for spans in moments.values():
            spans.sort()
    return result


def _read_videos(folder: Path) -> dict[str, Video]:
    path = folder / VIDEOS_TABLE
    videos = {}
    same = _Shared()
    columns = VIDEOS.schema.names
    for values in _rows(read_table(path, VIDEOS), columns):
        row = dict(zip(columns, values, strict=True))
        video_id = video_name(row["video_id"], where=path)
        where = f"{path}, {video_id}"
        names = tuple(same[safe_name(name, where=where)] for name in row["frame_names"])
        _check_video(row, where)
        if len(names) != row["num_frames"]:
            raise CorruptInput(
                f"video {video_id} lists {len(names)} frame names for {row['num_frames']} frames",
                where=path,
            )
        videos[video_id] = Video(
            video_id=video_id,
            num_frames=row["num_frames"],
            height=row["height"],
            width=row["width"],
            fps=row["fps"],
            frame_names=names,
            frame_suffix=row["frame_suffix"],
            frames_dir=folder / row["frames_dir"],
        )
    return videos


def _check_video(row: dict[str, Any], where: str) -> None:
    """Raise CorruptInput if the row of a video has an impossible value."""
    size = f"{row['width']}x{row['height']}"
    if min(row["num_frames"], row["height"], row["width"]) < 1:
        raise CorruptInput(
            f"a video cannot have {row['num_frames']} frames of {size} pixels", where=where
        )
    if row["height"] * row["width"] > MAX_PIXELS:
        raise CorruptInput(f"frames of {size} pixels are too large", where=where)
    if row["fps"] is not None and not 0 < row["fps"] < math.inf:
        raise CorruptInput(f"{row['fps']} is not a frame rate", where=where)
    if not _SUFFIX.fullmatch(row["frame_suffix"]):
        raise CorruptInput(f"{row['frame_suffix']!r} is not an image suffix", where=where)
    if not row["frames_dir"].isprintable():
        raise CorruptInput(f"{row['frames_dir']!r} is not a folder name", where=where)


def _read_expressions(folder: Path, videos: dict[str, Video]) -> list[Expression]:
    path = folder / EXPRESSIONS_TABLE
    columns = EXPRESSIONS.schema.names
    expressions = []
    same = _Shared({video: video for video in videos})
    for video, name, text, objects, annos in _rows(read_table(path, EXPRESSIONS), columns):
        if video not in videos:
            raise CorruptInput(
                f"expression {name} names video {video}, which the videos table lacks", where=path
            )
        safe_name(name, where=f"{path}, {video}")
        referents = same[tuple(map(same.__getitem__, objects))]
        tracks = same[tuple(map(same.__getitem__, annos))]
        expressions.append(Expression(same[video], same[name], text, referents, tracks))
    return expressions


def _check_moments(
    path: Path,
    moments: dict[tuple[str, str], Moments],
    expressions: list[Expression],
    videos: dict[str, Video],
) -> None:
    referents = {expression.key: set(expression.anno_ids) for expression in expressions}
    for (video, name), spans_by_anno in moments.items():
        if (video, name) not in referents:
            raise CorruptInput(
                f"moments of video {video}, expression {name}, which does not exist", where=path
            )
        for anno, spans in spans_by_anno.items():
            if anno is not None and anno not in referents[video, name]:
                raise CorruptInput(
                    f"anno id {anno} is not a referent of video {video}, expression {name}",
                    where=path,
                )
            if spans and spans[-1][1] > videos[video].num_frames:
                raise CorruptInput(
                    f"span {list(spans[-1])} of video {video}, expression {name} ends after the "
                    f"video's {videos[video].num_frames} frames",
                    where=path,
                )


def _rows(table: pa.Table, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """The rows, a few thousand at a time as Python objects: their memory is used again."""
    for part in table.to_batches(max_chunksize=_ROWS_AT_A_TIME):
        yield from zip(*(part.column(name).to_pylist() for name in columns), strict=True)


class _Shared(dict[Any, Any]):
    """Gives equal values as one object: every process that loads clips has an index of its own."""

    def __missing__(self, value: Any) -> Any:
        self[value] = value
        return value


def track_name(video_id: str, number: int) -> str:
    """The anno id of a track: unique in an index, since nothing but the number follows."""
    return f"{video_id}_{number:03d}"


def track_number(anno_id: str) -> str:
    """The object id of a track: its number in its video."""
    return str(int(anno_id.rsplit("_", 1)[1]))

"""Candidate boxes of an index's sentences: the table, checked against the index's videos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from schemas.errors import CorruptInput
from schemas.parquet import read_table, validate
from schemas.tables import CANDIDATES
from stages.core.index.index import Index
from stages.core.media.rle_checks import run_totals

_CORNERS = ("x0", "y0", "x1", "y1")


@dataclass(frozen=True)
class Candidates:
    """A candidates table that fits an index.

    Attributes:
        table: rows in the order of the index's videos and sentences, then by frame and rank; the
            boxes lie inside their frames.
        clipped: number of boxes that reached over their frame's boundary.
        dropped: number of boxes without an area inside their frame.
    """

    table: pa.Table
    clipped: int
    dropped: int


def read_candidates(path: Path, index: Index) -> Candidates:
    """Read a candidates table of tgl ground, or a foreign one with the same columns.

    Raises:
        MissingInput: no such file.
        CorruptInput: it is damaged, or does not fit the index; see :func:`fit_candidates`.
        SchemaMismatch: it is another table, or lacks a column.
    """
    return fit_candidates(read_table(path, CANDIDATES), index, where=path)


def fit_candidates(table: pa.Table, index: Index, *, where: object) -> Candidates:
    """Check candidates against an index, clip their boxes to the frames and order them.

    Ranks are counted again by score (ties by the given rank), since boxes may be dropped.

    Args:
        table: with the columns of ``CANDIDATES``.
        where: where the rows come from, for messages.

    Raises:
        CorruptInput: a row names a video, sentence or frame that the index lacks; its score or
            box is not finite; its box has a negative size or lies outside its frame; its mask is
            damaged or has another size than the frame.
    """
    columns = _Columns(table, index, where)
    columns.check_frames()
    boxes = columns.checked_boxes()
    columns.check_masks()
    inside = np.stack(
        [np.clip(boxes[:, n], 0, columns.sizes[:, n % 2]) for n in range(len(_CORNERS))], axis=1
    )
    kept = (inside[:, 2] > inside[:, 0]) & (inside[:, 3] > inside[:, 1])
    clipped = int(((inside != boxes).any(axis=1) & kept).sum())
    order = columns.order()
    order = order[kept[order]]
    for n, name in enumerate(_CORNERS):
        table = _with_column(table, name, pa.array(inside[:, n], pa.float32()))
    table = table.take(pa.array(order))
    ranks = _ranks(columns.rows[order], columns.frames[order])
    table = _with_column(table, "rank", pa.array(ranks, pa.int32()))
    fitted = validate(table, CANDIDATES, where=where).combine_chunks()
    return Candidates(fitted, clipped, int((~kept).sum()))


class _Columns:
    """The columns of a table as arrays, with the index's sentence and frame size of each row."""

    def __init__(self, table: pa.Table, index: Index, where: object):
        self._table = table
        self._where = where
        self._index = index
        self._expressions = [e for video in index.videos for e in index.expressions_of(video)]
        videos = [index.videos[expression.video_id] for expression in self._expressions]
        self.rows = self._sentences()
        sizes = np.array([(video.width, video.height) for video in videos], np.float32)
        self.sizes = sizes.reshape(-1, 2)[self.rows]
        self._lengths = np.array([video.num_frames for video in videos], np.int64)[self.rows]
        self.frames = self._numbers("frame")

    def check_frames(self) -> None:
        """Raise CorruptInput for a frame before or after its video."""
        wrong = (self.frames < 0) | (self.frames >= self._lengths)
        for row in np.flatnonzero(wrong)[:1]:
            self._refuse(
                row,
                f"the video has {self._lengths[row]} frames, counted from 0",
                f"frame {self.frames[row]}",
            )

    def checked_boxes(self) -> np.ndarray:
        """The boxes, float32 (n, 4), of which each shares a point with its frame.

        Raises:
            CorruptInput: one does not, or is not a box.
        """
        boxes = np.stack([self._numbers(name) for name in _CORNERS], axis=1).reshape(-1, 4)
        scores = self._numbers("score")
        broken = ~(np.isfinite(boxes).all(axis=1) & np.isfinite(scores))
        for row in np.flatnonzero(broken)[:1]:
            values = ", ".join(f"{value:g}" for value in (*boxes[row], scores[row]))
            self._refuse(row, f"box and score are not finite ({values})")
        negative = (boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1])
        for row in np.flatnonzero(negative)[:1]:
            self._refuse(row, f"the box {_shown(boxes[row])} has a negative size")
        beyond = (boxes[:, 2:] < 0) | (boxes[:, :2] > self.sizes)
        for row in np.flatnonzero(beyond.any(axis=1))[:1]:
            width, height = self.sizes[row].astype(int)
            self._refuse(
                row, f"the box {_shown(boxes[row])} lies outside the frame of {width}x{height}"
            )
        return boxes

    def check_masks(self) -> None:
        """Raise CorruptInput for a mask that does not fill its frame."""
        column = self._table.column("counts") if "counts" in self._table.column_names else None
        if column is None or column.null_count == len(column):
            return
        given = np.flatnonzero(~np.asarray(column.is_null()))
        counts = column.drop_null().to_pylist()
        totals = run_totals(counts, where=str(self._where), numbers=given.tolist())
        wrong = totals != self.sizes[given].astype(np.int64).prod(axis=1)
        for place in np.flatnonzero(wrong)[:1]:
            row = int(given[place])
            width, height = self.sizes[row].astype(int)
            self._refuse(row, f"the mask does not fill the frame of {width}x{height}")

    def order(self) -> np.ndarray:
        """Row numbers by sentence of the index, frame, falling score and rank."""
        return np.lexsort((self._numbers("rank"), -self._numbers("score"), self.frames, self.rows))

    def _sentences(self) -> np.ndarray:
        """The number of each row's sentence in the index."""
        numbers = {expression.key: n for n, expression in enumerate(self._expressions)}
        videos = self._table.column("video_id").to_pylist()
        names = self._table.column("expression_id").to_pylist()
        found = np.empty(len(videos), np.int64)
        for row, key in enumerate(zip(videos, names, strict=True)):
            number = numbers.get(key)
            if number is None:
                raise self._unknown(*key)
            found[row] = number
        return found

    def _unknown(self, video: str, name: str) -> CorruptInput:
        what = f"video {video}"
        if video in self._index.videos:
            what += f", expression {name}"
        return CorruptInput(f"candidates of {what}, which is not in the index", where=self._where)

    def _numbers(self, name: str) -> np.ndarray:
        return np.asarray(self._table.column(name).combine_chunks())

    def _refuse(self, row: int, what: str, place: str | None = None) -> None:
        expression = self._expressions[self.rows[row]]
        frame = place or f"frame {self.frames[row]}"
        raise CorruptInput(
            f"video {expression.video_id}, expression {expression.expression_id}, {frame}: {what}",
            where=self._where,
        )


def _ranks(rows: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Numbers from 0 within each run of equal sentence and frame."""
    if not len(rows):
        return np.zeros(0, np.int64)
    new = np.ones(len(rows), bool)
    new[1:] = (rows[1:] != rows[:-1]) | (frames[1:] != frames[:-1])
    starts = np.flatnonzero(new)
    return np.arange(len(rows)) - np.repeat(starts, np.diff(np.append(starts, len(rows))))


def _with_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def _shown(box: np.ndarray) -> str:
    return f"({', '.join(f'{value:g}' for value in box)})"

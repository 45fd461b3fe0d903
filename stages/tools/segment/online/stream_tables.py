"""Tables of a stream, written while frames come; complete whenever Python itself ends the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from schemas.errors import system_errors
from schemas.parquet import TableWriter
from schemas.tables import PROPAGATION
from stages.propagate.online.frame_result import FrameResult
from stages.tools.segment.outputs.results import probability
from stages.tools.segment.outputs.segments import SegmentRows, segments_writer

FRAMES_PER_GROUP = 256
"""Frames whose rows are buffered and written together."""


class BufferedTable:
    """Collects the rows of single frames and writes them in groups.

    Args:
        path: of the file.
        write: writes a group.
    """

    def __init__(self, path: Path, write: Callable[[pa.Table], None]):
        self._path = path
        self._write = write
        self._buffer: list[pa.Table] = []

    def add(self, rows: pa.Table) -> None:
        """Add the rows of one frame."""
        self._buffer.append(rows)
        if len(self._buffer) >= FRAMES_PER_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write the buffered rows."""
        if self._buffer:
            with system_errors(self._path):
                self._write(pa.concat_tables(self._buffer).combine_chunks())
            self._buffer.clear()


@contextmanager
def propagation_table(path: Path) -> Iterator[BufferedTable]:
    """Open propagation.parquet of a stream."""
    with TableWriter(path, PROPAGATION) as writer:
        table = BufferedTable(path, writer.write)
        yield table
        table.flush()


@contextmanager
def segments_table(path: Path) -> Iterator[BufferedTable]:
    """Open the table of `tgl segment --table` for a stream."""
    with segments_writer(path) as writer:
        table = BufferedTable(path, writer.write_table)
        yield table
        table.flush()


def frame_segments(
    video_id: str,
    sentences: Sequence[str],
    result: FrameResult,
    name: str,
    seconds: float | None,
) -> pa.Table:
    """Rows of one frame in the table of moments and masks."""
    count = len(sentences)
    return SegmentRows(
        sentences,
        [None] * count,
        [result.frame] * count,
        [name] * count,
        [seconds] * count,
        result.routes,
        result.relevance,
        [probability(float(score)) for score in result.scores],
        result.masks,
    ).table(video_id)

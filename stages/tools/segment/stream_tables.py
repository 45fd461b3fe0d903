"""Tables of a stream, written as its frames leave; whole at any end that Python lives to see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.parquet import TableWriter
from schemas.tables import PROPAGATION
from schemas.vocabulary import LANGUAGE
from stages.core.media.rle import encode
from stages.propagate.online.frame_result import FrameResult
from stages.tools.segment.results import segments_schema

FRAMES_PER_GROUP = 256
"""Frames whose rows wait in memory until they are written together."""


class LiveTable:
    """Gathers rows and writes them in groups.

    Args:
        write: takes some rows.
    """

    def __init__(self, write: Callable[[pa.Table], None]):
        self._write = write
        self._waiting: list[pa.Table] = []

    def add(self, rows: pa.Table) -> None:
        """The rows of one frame."""
        self._waiting.append(rows)
        if len(self._waiting) >= FRAMES_PER_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            self._write(pa.concat_tables(self._waiting).combine_chunks())
            self._waiting.clear()


@contextmanager
def live_propagation(path: Path) -> Iterator[LiveTable]:
    """propagation.parquet of a stream."""
    with TableWriter(path, PROPAGATION) as writer:
        table = LiveTable(writer.write)
        yield table
        table.flush()


@contextmanager
def live_segments(path: Path) -> Iterator[LiveTable]:
    """The table that `tgl segment --table x.parquet` writes, frame by frame."""
    with pq.ParquetWriter(
        path, segments_schema(), compression="zstd", write_page_checksum=True
    ) as writer:
        table = LiveTable(writer.write_table)
        yield table
        table.flush()


def segment_rows(video: str, sentences: Sequence[str], answer: FrameResult, name: str) -> pa.Table:
    """One frame's rows of the table of spans and masks."""
    count = len(sentences)
    height, width = answer.masks.shape[1:]
    columns = {
        "video_id": [video] * count,
        "sentence": sentences,
        "frame": [answer.frame] * count,
        "name": [name] * count,
        "in_moment": [route == LANGUAGE for route in answer.routes],
        "relevance": answer.relevance,
        "area": answer.masks.sum(axis=(1, 2)),
        "height": [height] * count,
        "width": [width] * count,
        "counts": [encode(mask)["counts"] for mask in answer.masks],
    }
    return pa.table(columns, schema=segments_schema())

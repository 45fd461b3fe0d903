"""Tables of a stream, written as its frames leave; whole at any end that Python lives to see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.parquet import TableWriter
from schemas.tables import PROPAGATION
from schemas.vocabulary import LANGUAGE
from stages.core.media.rle import encode
from stages.propagate.online.segmenter import FrameAnswer
from stages.tools.segment.results import segments_schema

FRAMES_PER_GROUP = 256
"""Frames whose rows wait in memory until they are written together."""

Rows = dict[str, Sequence[object]]


class LiveTable:
    """Gathers rows and writes them in groups.

    Args:
        write: takes some rows.
        schema: of the rows.
    """

    def __init__(self, write: Callable[[pa.Table], None], schema: pa.Schema):
        self._write = write
        self._schema = schema
        self._waiting: list[pa.Table] = []

    def add(self, rows: Rows) -> None:
        """The rows of one frame."""
        self._waiting.append(pa.table(rows, schema=self._schema))
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
        table = LiveTable(writer.write, PROPAGATION.schema)
        yield table
        table.flush()


@contextmanager
def live_segments(path: Path) -> Iterator[LiveTable]:
    """The table that `tgl segment --table x.parquet` writes, frame by frame."""
    schema = segments_schema()
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        table = LiveTable(writer.write_table, schema)
        yield table
        table.flush()


def propagation_rows(video: str, answer: FrameAnswer) -> Rows:
    """One frame's rows of the propagation table; sentences are numbered from 0."""
    count = len(answer.routes)
    return {
        "video_id": [video] * count,
        "expression_id": [str(row) for row in range(count)],
        "frame": [answer.frame] * count,
        "route": answer.routes,
        "relevance": answer.relevance,
        "object_score": pa.array(answer.scores, pa.float32(), mask=np.isnan(answer.scores)),
        "mask_area": answer.masks.sum(axis=(1, 2)),
    }


def segment_rows(video: str, sentences: Sequence[str], answer: FrameAnswer, name: str) -> Rows:
    """One frame's rows of the table of spans and masks."""
    count = len(sentences)
    height, width = answer.masks.shape[1:]
    return {
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

"""Rows of the moments table as records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa

from schemas.parquet import rows_of
from schemas.tables import MOMENTS
from schemas.vocabulary import ANNOTATED
from stages.core.media.spans import Span


class MomentRow(NamedTuple):
    """A moment of one referent of an expression, or of all of them together (`anno_id` None)."""

    video_id: str
    expression_id: str
    anno_id: str | None
    start_frame: int
    end_frame: int
    source: str = ANNOTATED
    score: float | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Video and expression."""
        return self.video_id, self.expression_id

    @property
    def span(self) -> Span:
        """Half-open span of frames."""
        return self.start_frame, self.end_frame


def moments_table(rows: Iterable[MomentRow]) -> pa.Table:
    """Make a moments table of `rows`."""
    return rows_of((row._asdict() for row in rows), MOMENTS)


def moment_rows(table: pa.Table) -> list[MomentRow]:
    """List the rows of a moments table."""
    return [MomentRow(**row) for row in table.to_pylist()]

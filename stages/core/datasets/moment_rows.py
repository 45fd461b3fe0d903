"""Rows of the moments table as records."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import pyarrow as pa

from schemas.errors import CorruptInput
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


def check_moment_row(
    row: MomentRow, referents: Collection[str], frames: int, where: object
) -> None:
    """Check that a row is of a referent of its expression, and within its video.

    Args:
        referents: anno ids of the expression.
        frames: length of the video.

    Raises:
        CorruptInput: it is not.
    """
    place = f"video {row.video_id}, expression {row.expression_id}"
    if row.anno_id is not None and row.anno_id not in referents:
        raise CorruptInput(f"anno id {row.anno_id} is not a referent of {place}", where=where)
    if not 0 <= row.start_frame < row.end_frame <= frames:
        raise CorruptInput(
            f"[{row.start_frame}, {row.end_frame}) is not a span of the {frames} frames of {place}",
            where=where,
        )


def moments_table(rows: Iterable[MomentRow]) -> pa.Table:
    """Make a moments table of `rows`."""
    return rows_of((row._asdict() for row in rows), MOMENTS)


def moment_rows(table: pa.Table) -> list[MomentRow]:
    """List the rows of a moments table."""
    return [MomentRow(**row) for row in table.to_pylist()]

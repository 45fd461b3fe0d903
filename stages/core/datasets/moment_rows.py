"""Rows of the moments table as records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import pyarrow as pa

from schemas.errors import CorruptInput
from schemas.parquet import rows_of
from schemas.tables import MOMENTS
from schemas.vocabulary import ANNOTATED, UNION
from stages.core.media.spans import NEVER, Span, is_row_span


class MomentRow(NamedTuple):
    """A moment of one referent of an expression, or of all of them together (`anno_id` None).

    A row with the span :data:`NEVER` says that there is none.
    """

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

    @property
    def is_never(self) -> bool:
        """Whether it says that the sentence is never true of the referent."""
        return self.span == NEVER


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
    if not is_row_span(*row.span) or row.end_frame > frames:
        raise CorruptInput(
            f"[{row.start_frame}, {row.end_frame}) is not a span of the {frames} frames of {place}",
            where=where,
        )


def union_rows(rows: Iterable[MomentRow]) -> list[MomentRow]:
    """Merge the moments of each expression's referents into moments of all of them together.

    Spans that overlap or touch become one; an expression is never true if none of its referents
    has a span. A moment keeps the source of those merged into it if they have the same, else it is
    `union`; it has no score. Expressions stay in their order.
    """
    grouped: dict[tuple[str, str], list[MomentRow]] = {}
    for row in rows:
        grouped.setdefault(row.key, []).append(row)
    found: list[MomentRow] = []
    for key, moments in grouped.items():
        first = len(found)
        spans = [row for row in moments if not row.is_never] or moments[:1]
        for row in sorted(spans, key=lambda moment: moment.start_frame):
            if len(found) > first and row.start_frame <= found[-1].end_frame:
                end = max(found[-1].end_frame, row.end_frame)
                source = row.source if row.source == found[-1].source else UNION
                found[-1] = found[-1]._replace(end_frame=end, source=source)
            else:
                found.append(MomentRow(*key, None, *row.span, row.source))
    return found


def moment_counts(end_frames: Sequence[int]) -> dict[str, int]:
    """Number of moments, and of referents of which a sentence is never true, by the rows' ends."""
    never = sum(end == NEVER[1] for end in end_frames)
    return {"moments": len(end_frames) - never, "never true": never}


def moments_table(rows: Iterable[MomentRow]) -> pa.Table:
    """Make a moments table of `rows`."""
    return rows_of((row._asdict() for row in rows), MOMENTS)


def moment_rows(table: pa.Table) -> list[MomentRow]:
    """List the rows of a moments table."""
    return [MomentRow(**row) for row in table.to_pylist()]

"""The moments table itself, as CSV and as Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from schemas.directories import write_text_atomic
from schemas.errors import CorruptInput, SchemaMismatch
from schemas.parquet import read_table, write_table
from schemas.tables import MOMENTS
from schemas.vocabulary import ANNOTATED
from stages.core.datasets.documents.text_files import read_csv_text
from stages.core.datasets.moment_rows import MomentRow, moment_rows, moments_table
from stages.core.media.spans import Span, is_row_span
from stages.core.moment_formats.context import (
    NO_FILE,
    MomentContext,
    checked_span,
    finite_number,
    frame_number,
)
from stages.core.moment_formats.formats import WholeFormat

_REQUIRED = ("video_id", "expression_id", "anno_id", "start_frame", "end_frame")


def read_csv(path: Path, context: MomentContext) -> Iterator[MomentRow]:
    """Read a CSV with a header; an empty anno_id means all referents.

    Raises:
        SchemaMismatch: a column is missing.
        CorruptInput: not CSV, or a field does not fit its column.
    """
    text = read_csv_text(path, missing=NO_FILE)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        missing = [name for name in _REQUIRED if name not in (reader.fieldnames or ())]
        if missing:
            raise SchemaMismatch(
                f"lacks the column {', '.join(missing)}", where=path, hint="a header is needed"
            )
        for number, fields in enumerate(reader, start=2):
            where = f"{path}, line {number}"
            if None in fields.values():
                raise CorruptInput("has too few fields", where=where)
            if None in fields:
                raise CorruptInput("has too many fields", where=where)
            yield MomentRow(
                fields["video_id"],
                fields["expression_id"],
                fields["anno_id"] or None,
                *_row_span(
                    frame_number(fields["start_frame"], where),
                    frame_number(fields["end_frame"], where),
                    where,
                ),
                fields.get("source") or ANNOTATED,
                finite_number(fields["score"], where) if fields.get("score") else None,
            )
    except csv.Error as error:
        raise CorruptInput(f"is not CSV ({error})", where=path) from error


def _row_span(start: int, end: int, where: object) -> Span:
    """Return the span if a row may have it; raises as :func:`checked_span`."""
    return (start, end) if is_row_span(start, end) else checked_span(start, end, where)


def write_csv(path: Path, rows: Iterable[MomentRow], context: MomentContext) -> None:
    """Write all columns of the moments table."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(MomentRow._fields)
    writer.writerows(rows)
    write_text_atomic(path, text.getvalue())


def read_parquet(path: Path, context: MomentContext) -> Iterator[MomentRow]:
    """Read a moments table; one of another tool may lack source and score.

    Raises:
        SchemaMismatch: it is another table or version.
        CorruptInput: truncated, or a span is empty.
    """
    for row in moment_rows(read_table(path, MOMENTS)):
        _row_span(*row.span, f"{path}, video {row.video_id}, expression {row.expression_id}")
        yield row


def write_parquet(path: Path, rows: Iterable[MomentRow], context: MomentContext) -> None:
    """Write the moments table."""
    write_table(path, moments_table(rows), MOMENTS)


CSV = WholeFormat(".csv", read_csv, write_csv, says_never=True)
PARQUET = WholeFormat(".parquet", read_parquet, write_parquet, says_never=True)

"""Moments as CSV and as Parquet: the columns of the moments table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from schemas.directories import write_text_atomic
from schemas.errors import CorruptInput, SchemaMismatch
from schemas.parquet import read_table, rows_of, write_table
from schemas.tables import MOMENTS
from schemas.vocabulary import ANNOTATED
from stages.core.datasets.documents.csv_text import read_csv_text
from stages.core.moment_formats.context import (
    MomentContext,
    Row,
    finite,
    frame_number,
    row,
    whole_span,
)

_NEEDED = ("video_id", "expression_id", "anno_id", "start_frame", "end_frame")
_COLUMNS = (*_NEEDED, "source", "score")


def read_csv(path: Path, context: MomentContext) -> Iterator[Row]:
    """Rows of a CSV with a header; an empty anno_id means all referents.

    Raises:
        SchemaMismatch: a column is missing.
        CorruptInput: not CSV, or a field is not what its column holds.
    """
    text = read_csv_text(path, missing="no such moments file")
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
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
            yield row(
                fields["video_id"],
                fields["expression_id"],
                fields["anno_id"] or None,
                whole_span(
                    frame_number(fields["start_frame"], where),
                    frame_number(fields["end_frame"], where),
                    where,
                ),
                fields.get("source") or ANNOTATED,
                finite(fields["score"], where) if fields.get("score") else None,
            )
    except csv.Error as error:
        raise CorruptInput(f"is not CSV ({error})", where=path) from error


def write_csv(path: Path, rows: Iterable[Row], context: MomentContext) -> None:
    """Write all columns of the moments table."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text_atomic(path, text.getvalue())


def read_parquet(path: Path, context: MomentContext) -> Iterator[Row]:
    """Rows of a moments table; one of another tool may lack source and score.

    Raises:
        SchemaMismatch: it is another table or version.
        CorruptInput: truncated, or a span is none.
    """
    for moment in read_table(path, MOMENTS).to_pylist():
        where = f"{path}, video {moment['video_id']}, expression {moment['expression_id']}"
        whole_span(moment["start_frame"], moment["end_frame"], where)
        yield moment


def write_parquet(path: Path, rows: Iterable[Row], context: MomentContext) -> None:
    """Write the moments table itself."""
    write_table(path, rows_of(rows, MOMENTS), MOMENTS)

"""The JSON interchange form of moments: half-open spans of frames per expression and referent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from schemas.documents import load_object
from schemas.errors import CorruptInput, SchemaMismatch
from stages.core.datasets.moment_rows import MomentRow
from stages.core.media.spans import NEVER, Span

FORMAT = "tgl-moments"
VERSION = 1
ALL_REFERENTS = "ALL"


def read_moments_json(path: Path) -> Iterator[MomentRow]:
    """Read the rows of the moments table from a tgl-moments file.

    Raises:
        TglError: as :func:`read_spans`.
    """
    for (video_id, expression_id), moments in read_spans(path):
        for referent, spans in moments.items():
            anno_id = None if referent == ALL_REFERENTS else referent
            for span in spans or [NEVER]:
                yield MomentRow(video_id, expression_id, anno_id, *span)


def read_spans(path: Path) -> Iterator[tuple[tuple[str, str], dict[str, list[Span]]]]:
    """Read the spans of each referent by (video_id, expression_id) from a tgl-moments file.

    A referent that is listed without a span is known to have no moment.

    Raises:
        MissingInput: no such file.
        SchemaMismatch: another format, version or unit.
        CorruptInput: a span is not a pair of frame numbers.
    """
    document = load_object(path, what="moments file")
    if document.get("format") != FORMAT or document.get("version") != VERSION:
        raise SchemaMismatch(
            f"is {document.get('format')} version {document.get('version')}, "
            f"expected {FORMAT} version {VERSION}",
            where=path,
        )
    if document.get("frame_unit") != "index":
        raise SchemaMismatch(
            f"frame_unit is {document.get('frame_unit')!r}, expected 'index'", where=path
        )
    for video_id, video in _items(document.get("videos"), f"{path}, videos"):
        where = f"{path}, video {video_id}"
        for expression_id, body in _items(_field(video, "expressions"), where):
            place = f"{where}, expression {expression_id}"
            yield (
                (video_id, expression_id),
                {
                    referent: list(_spans(spans, f"{place}, referent {referent}"))
                    for referent, spans in _items(_field(body, "moments"), place)
                },
            )


def _field(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, Mapping) else None


def _items(value: object, where: str) -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        raise CorruptInput("a JSON object is needed", where=where)
    return list(value.items())


def _spans(value: object, where: str) -> Iterator[Span]:
    if not isinstance(value, list):
        raise CorruptInput("the spans are not a list", where=where)
    for span in value:
        fits = isinstance(span, list) and len(span) == 2
        if not fits or any(isinstance(n, bool) or not isinstance(n, int) for n in span):
            raise CorruptInput(f"{span!r} is not [start, end] in frames", where=where)
        if not 0 <= span[0] < span[1] <= 2**31 - 1:
            raise CorruptInput(f"{span!r} is not a half-open span of frames", where=where)
        yield span[0], span[1]

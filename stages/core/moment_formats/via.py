"""VIA (VGG Image Annotator, for videos): CSV with times in seconds, in two versions.

Version 2 has the columns temporal_segment_start and temporal_segment_end, version 3 has
temporal_coordinates with a JSON list. Lines that begin with # are comments; one is the header.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from schemas.directories import write_text_atomic
from schemas.errors import CorruptInput
from stages.core.datasets.documents.text_files import read_text
from stages.core.datasets.moment_rows import MomentRow
from stages.core.moment_formats.context import NO_FILE, MomentContext, row_label
from stages.core.moment_formats.formats import WholeFormat

_HEADER = re.compile(r"^#\s*CSV_HEADER\s*=\s*", re.IGNORECASE)
_COMMENT = "#"
_OLD = ("temporal_segment_start", "temporal_segment_end")
_NEW = "temporal_coordinates"
_COLUMNS = (
    "metadata_id",
    "file_list",
    "flags",
    _NEW,
    "spatial_coordinates",
    "metadata",
)


def read_via(path: Path, context: MomentContext) -> Iterator[MomentRow]:
    """Read a VIA export; the label is the one text value of a row's metadata.

    Raises:
        CorruptInput: not a VIA export, or a row has an unknown video or label.
        ConfigError: the frame rate is unknown.
    """
    try:
        names, rows = _table(read_text(path, missing=NO_FILE))
    except csv.Error as error:
        raise CorruptInput(f"is not CSV ({error})", where=path) from error
    timed = _NEW in names or all(name in names for name in _OLD)
    if not timed or "file_list" not in names or "metadata" not in names:
        raise CorruptInput("has no header of a VIA export with times", where=path)
    for number, fields in enumerate(rows):
        where = f"{path}, row {number}"
        if len(fields) != len(names):
            raise CorruptInput(f"has {len(fields)} fields for {len(names)} columns", where=where)
        entry = dict(zip(names, fields, strict=True))
        times = _times(entry, where)
        if times is None:
            continue  # a row about a region in space, or about the whole file
        video_id = context.video(_file(entry["file_list"], where), where)
        expression_id, anno_id = context.label(video_id, _label(entry["metadata"], where), where)
        span = context.span(video_id, *times, where)
        yield MomentRow(video_id, expression_id, anno_id, *span)


def write_via(path: Path, rows: Iterable[MomentRow], context: MomentContext) -> None:
    """Write one row of version 3 per span.

    Raises:
        ConfigError: the frame rate is unknown.
    """
    text = io.StringIO(newline="")
    text.write("# Exported for the VGG Image Annotator (VIA)\n")
    text.write(f"# CSV_HEADER = {','.join(_COLUMNS)}\n")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for number, row in enumerate(rows):
        times = [float(context.seconds(row.video_id, frame, path)) for frame in row.span]
        files = json.dumps([f"{row.video_id}.mp4"], ensure_ascii=False)
        label = json.dumps({"1": row_label(row)}, ensure_ascii=False)
        writer.writerow([f"1_{number}", files, 0, json.dumps(times), "[]", label])
    write_text_atomic(path, text.getvalue())


def _table(text: str) -> tuple[list[str], list[list[str]]]:
    """Split a file into its column names and the rows that are not comments."""
    names: list[str] = []
    body = []
    for line in text.split("\n"):
        if found := _HEADER.match(line):
            names = next(csv.reader([line[found.end() :].strip("\r")]), [])
        elif line.strip() and not line.startswith(_COMMENT):
            body.append(line)
    rows = list(csv.reader(io.StringIO("\n".join(body), newline="")))
    if not names and rows:
        names, rows = rows[0], rows[1:]
    return [name.strip() for name in names], rows


def _times(entry: dict[str, str], where: str) -> tuple[Any, Any] | None:
    if _NEW not in entry:
        return entry[_OLD[0]], entry[_OLD[1]]
    times = _json(entry[_NEW], where)
    if times == []:
        return None
    if not isinstance(times, list) or len(times) != 2:
        raise CorruptInput(f"{entry[_NEW]!r} is not [start, end]", where=where)
    return times[0], times[1]


def _file(text: str, where: str) -> object:
    """Return the only file of a row, given as a JSON list or as a bare name."""
    if not text.lstrip().startswith("["):
        return text
    files = _json(text, where)
    if not isinstance(files, list) or len(files) != 1:
        raise CorruptInput("does not name exactly one file", where=where)
    return files[0]


def _label(text: str, where: str) -> str:
    found = _json(text, where)
    values = found.values() if isinstance(found, dict) else [found]
    labels = [value for value in values if isinstance(value, str) and value.strip()]
    if len(labels) != 1:
        raise CorruptInput(f"its metadata has {len(labels)} labels, one is needed", where=where)
    return labels[0]


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorruptInput(f"{text[:40]!r} is not JSON", where=where) from error


def _is_via(head: bytes) -> bool:
    return b"temporal_" in head or b"CSV_HEADER" in head


VIA = WholeFormat(".csv", read_via, write_via, _is_via)

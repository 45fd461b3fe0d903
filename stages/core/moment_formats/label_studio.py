"""Label Studio's JSON export of timeline labels: 1-based frame numbers, both ends inclusive."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from schemas.directories import write_text_atomic
from schemas.documents import mapping, parse_json
from schemas.errors import CorruptInput
from stages.core.datasets.documents.text_files import read_text
from stages.core.datasets.moment_rows import MomentRow
from stages.core.moment_formats.context import (
    NO_FILE,
    MomentContext,
    by_video,
    checked_span,
    frame_number,
    row_label,
)
from stages.core.moment_formats.formats import WholeFormat

_TYPE = "timelinelabels"
_FROM, _TO = "moments", "video"


def read_label_studio(path: Path, context: MomentContext) -> Iterator[MomentRow]:
    """Read an export; a label is an expression id, `id:anno id`, or the sentence.

    Raises:
        CorruptInput: not an export, several annotations of one task, or an unknown label.
    """
    tasks = parse_json(read_text(path, missing=NO_FILE), path)
    if not isinstance(tasks, list):
        raise CorruptInput("is not a list of tasks", where=path)
    for number, task in enumerate(tasks):
        where = f"{path}, task {number}"
        video_id = context.video(_video_of(mapping(task, where), where), where)
        for value in _values(task, where):
            yield from _moments(value, video_id, context, where)


def write_label_studio(path: Path, rows: Iterable[MomentRow], context: MomentContext) -> None:
    """Write one task per video, one result per span."""
    tasks = [
        {
            "id": number,
            "data": {"video": f"{video_id}.mp4"},
            "annotations": [{"id": number, "result": [_result(i, m) for i, m in enumerate(found)]}],
        }
        for number, (video_id, found) in enumerate(by_video(rows).items(), start=1)
    ]
    write_text_atomic(path, json.dumps(tasks, ensure_ascii=False) + "\n")


def _video_of(task: Any, where: str) -> object:
    data = mapping(task.get("data"), where)
    for key in ("video", "video_url", "url"):
        if key in data:
            return data[key]
    raise CorruptInput("its data names no video", where=where)


def _values(task: Any, where: str) -> Iterator[Any]:
    """Yield the values of the timeline results of a task's only annotation."""
    annotations = task.get("annotations", [])
    if not isinstance(annotations, list):
        raise CorruptInput("its annotations are not a list", where=where)
    kept = [a for a in annotations if not mapping(a, where).get("was_cancelled")]
    if len(kept) > 1:
        raise CorruptInput(
            f"has {len(kept)} annotations",
            where=where,
            hint="export one annotation per task, several may contradict each other",
        )
    for annotation in kept:
        results = annotation.get("result")
        if not isinstance(results, list):
            raise CorruptInput("its result is not a list", where=where)
        for result in results:
            value = mapping(result, where).get("value")
            if isinstance(value, dict) and _TYPE in value:
                yield value


def _moments(value: Any, video_id: str, context: MomentContext, where: str) -> Iterator[MomentRow]:
    labels, ranges = value.get(_TYPE), value.get("ranges")
    if not isinstance(labels, list) or not isinstance(ranges, list):
        raise CorruptInput("a result lacks labels or ranges", where=where)
    for label in labels:
        expression_id, anno_id = context.label(video_id, label, where)
        for found in ranges:
            ends = mapping(found, where)
            first = frame_number(ends.get("start"), where)
            last = frame_number(ends.get("end"), where)
            span = checked_span(first - 1, last, where)
            yield MomentRow(video_id, expression_id, anno_id, *span)


def _result(number: int, row: MomentRow) -> dict[str, Any]:
    ends = {"start": row.start_frame + 1, "end": row.end_frame}
    return {
        "id": str(number),
        "type": _TYPE,
        "from_name": _FROM,
        "to_name": _TO,
        "value": {"ranges": [ends], _TYPE: [row_label(row)]},
    }


def _is_list(head: bytes) -> bool:
    return head.lstrip().startswith(b"[")


LABEL_STUDIO = WholeFormat(".json", read_label_studio, write_label_studio, _is_list)

"""QVHighlights: one JSON object per line, windows in seconds, annotated or predicted."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from schemas.directories import write_text_atomic
from schemas.documents import mapping, parse_json
from schemas.errors import CorruptInput
from schemas.vocabulary import ANNOTATED, PREDICTED
from stages.core.datasets.documents.text_files import numbered_lines
from stages.core.datasets.moment_rows import MomentRow
from stages.core.moment_formats.context import (
    NO_FILE,
    MomentContext,
    finite_number,
    without_referents,
)
from stages.core.moment_formats.formats import WholeFormat

_WINDOWS, _PREDICTIONS = "relevant_windows", "pred_relevant_windows"
_NAME = "QVHighlights"
# Not part of the format, and ignored by its readers: tells sentences apart that read the same.
_EXPRESSION = "expression_id"


def read_qvhighlights(path: Path, context: MomentContext) -> Iterator[MomentRow]:
    """Read a jsonl file; the expression is found by its sentence (or `expression_id`).

    Raises:
        CorruptInput: a line is not such an object, or has an unknown video or sentence.
        ConfigError: the frame rate is unknown.
    """
    for where, line in numbered_lines(path, missing=NO_FILE):
        entry = mapping(parse_json(line, where), where)
        video_id = context.video(entry.get("vid"), where)
        if _EXPRESSION in entry:
            expression_id, _ = context.label(video_id, entry[_EXPRESSION], where)
        else:
            expression_id = context.sentence(video_id, entry.get("query"), where).expression_id
        source = PREDICTED if _PREDICTIONS in entry else ANNOTATED
        for window in _windows(entry, where):
            span = context.span(video_id, window[0], window[1], where)
            score = finite_number(window[2], where) if source == PREDICTED else None
            yield MomentRow(video_id, expression_id, None, *span, source, score)


def write_qvhighlights(path: Path, rows: Iterable[MomentRow], context: MomentContext) -> None:
    """Write one line per expression; if all its rows have scores, it is a prediction.

    Raises:
        ConfigError: single referents, or an unknown frame rate.
    """
    grouped: dict[tuple[str, str], list[MomentRow]] = defaultdict(list)
    for row in without_referents(rows, _NAME):
        grouped[row.key].append(row)
    lines = [
        json.dumps(_entry(number, found, context, path), ensure_ascii=False)
        for number, found in enumerate(grouped.values())
    ]
    write_text_atomic(path, "".join(f"{line}\n" for line in lines))


def _windows(entry: Mapping[str, Any], where: str) -> list[list[Any]]:
    predicted = _PREDICTIONS in entry
    windows = entry.get(_PREDICTIONS if predicted else _WINDOWS)
    parts = 3 if predicted else 2
    if not isinstance(windows, list) or any(
        not isinstance(window, list) or len(window) != parts for window in windows
    ):
        wanted = "[start, end, score]" if predicted else "[start, end]"
        raise CorruptInput(f"its windows are not a list of {wanted}", where=where)
    return windows


def _entry(qid: int, rows: list[MomentRow], context: MomentContext, path: Path) -> dict[str, Any]:
    video_id, expression_id = rows[0].key
    scored = all(row.score is not None for row in rows)
    windows = []
    for row in rows:
        window = [float(context.seconds(video_id, frame, path)) for frame in row.span]
        windows.append([*window, row.score] if scored else window)
    return {
        "qid": qid,
        "query": context.text(video_id, expression_id),
        "duration": float(context.seconds(video_id, context.videos[video_id].frames, path)),
        "vid": video_id,
        _PREDICTIONS if scored else _WINDOWS: windows,
        _EXPRESSION: expression_id,
    }


QVHIGHLIGHTS = WholeFormat(".jsonl", read_qvhighlights, write_qvhighlights)

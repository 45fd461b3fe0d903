"""QVHighlights: one JSON object a line, windows in seconds, annotated or predicted."""

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
from stages.core.moment_formats.context import (
    MomentContext,
    Row,
    finite,
    row,
    without_referents,
)
from stages.core.moment_formats.files import numbered_lines

_WINDOWS, _PREDICTIONS = "relevant_windows", "pred_relevant_windows"
_NAME = "QVHighlights"
# Not of the format, ignored by its readers: tells sentences apart that read the same.
_EXPRESSION = "expression_id"


def read_qvhighlights(path: Path, context: MomentContext) -> Iterator[Row]:
    """Rows of a jsonl file; the expression is found by its sentence (or `expression_id`).

    Raises:
        CorruptInput: a line is not such an object, or means nothing known.
        ConfigError: the frame rate is unknown.
    """
    for where, line in numbered_lines(path):
        entry = mapping(parse_json(line, where), where)
        video_id = context.video(entry.get("vid"), where)
        if _EXPRESSION in entry:
            expression_id, _ = context.label(video_id, entry[_EXPRESSION], where)
        else:
            expression_id = context.sentence(video_id, entry.get("query"), where).expression_id
        source = PREDICTED if _PREDICTIONS in entry else ANNOTATED
        for window in _windows(entry, where):
            span = context.span(video_id, window[0], window[1], where)
            score = finite(window[2], where) if source == PREDICTED else None
            yield row(video_id, expression_id, None, span, source, score)


def write_qvhighlights(path: Path, rows: Iterable[Row], context: MomentContext) -> None:
    """Write a line for each expression; those of rows with scores are predictions.

    Raises:
        ConfigError: single referents, or an unknown frame rate.
    """
    grouped: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for moment in without_referents(rows, _NAME):
        grouped[moment["video_id"], moment["expression_id"]].append(moment)
    lines = [
        json.dumps(_entry(number, moments, context, path), ensure_ascii=False)
        for number, moments in enumerate(grouped.values())
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


def _entry(qid: int, moments: list[Row], context: MomentContext, path: Path) -> dict[str, Any]:
    video_id, expression_id = moments[0]["video_id"], moments[0]["expression_id"]
    scored = all(moment["score"] is not None for moment in moments)
    windows = []
    for moment in moments:
        times = (moment["start_frame"], moment["end_frame"])
        window = [float(context.seconds(video_id, frame, path)) for frame in times]
        windows.append([*window, moment["score"]] if scored else window)
    return {
        "qid": qid,
        "query": context.text(video_id, expression_id),
        "duration": float(context.seconds(video_id, context.videos[video_id].frames, path)),
        "vid": video_id,
        _PREDICTIONS if scored else _WINDOWS: windows,
        _EXPRESSION: expression_id,
    }

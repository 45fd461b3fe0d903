"""Actions as the page sends them, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.vocabulary import DONE, STATUSES
from stages.core.browser.content import UNPROCESSABLE, Refused
from stages.core.media.spans import Span, span_mask, spans_of
from stages.tools.annotate.marks import FLAG, NOTE, REDO, SPANS, STATUS, UNDO, Action, History

_BAD_REQUEST = 400
_LONGEST_NOTE = 2000
_MOST_SECONDS = 3600.0
"""Of one action; who leaves a page open over night did not work on it."""
_FIELDS = frozenset(("revision", "kind", "referent", "spans", "from", "value", "seconds"))


def parse_action(
    request: Mapping[str, Any], history: History, frames: int, sources: Mapping[str, str]
) -> Action:
    """Parse an action on a sentence.

    Args:
        frames: of the video.
        sources: names of the lanes that can be accepted, by id.

    Raises:
        Refused: it is not an action, or not possible now.
    """
    unknown = sorted(request.keys() - _FIELDS)
    if unknown:
        raise _bad(f"unknown field {unknown[0]!r}")
    kind, seconds = request.get("kind"), _seconds(request.get("seconds", 0))
    if kind == SPANS:
        lane = _lane(request.get("referent"), history)
        spans = _spans(request.get("spans"), frames)
        return Action(kind, spans, lane, _source(request.get("from"), sources), seconds)
    if kind in (UNDO, REDO):
        if not (history.past if kind == UNDO else history.future):
            raise Refused(UNPROCESSABLE, f"nothing to {kind}")
        return Action(kind, seconds=seconds)
    if kind in (STATUS, FLAG, NOTE):
        return Action(kind, _value(kind, request.get("value"), history), seconds=seconds)
    raise _bad(f"unknown kind {kind!r}")


def _value(kind: str, value: object, history: History) -> str | bool:
    if kind == FLAG and isinstance(value, bool):
        return value
    if kind == STATUS and value in STATUSES:
        if value == DONE and not history.now.decided:
            missing = history.now.lanes.index(None)
            raise Refused(UNPROCESSABLE, f"referent {missing + 1} is not marked yet")
        return str(value)
    if kind == NOTE and isinstance(value, str) and len(value) <= _LONGEST_NOTE:
        return value.encode("utf-8", "replace").decode()
    raise _bad(f"not a {kind}")


def _lane(value: object, history: History) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _bad("referent is not a number")
    if not 0 <= value < len(history.now.lanes):
        raise _bad("no such referent")
    return value


def _spans(value: object, frames: int) -> tuple[Span, ...]:
    """Spans in order, those that touch or overlap as one."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > frames:
        raise _bad("spans are not a list")
    return tuple(spans_of(span_mask([_span(one, frames) for one in value], frames)))


def _span(value: object, frames: int) -> Span:
    if isinstance(value, list) and len(value) == 2 and all(type(x) is int for x in value):
        start, end = value
        if 0 <= start < end <= frames:
            return start, end
    raise _bad(f"not a span of a video of {frames} frames")


def _source(value: object, sources: Mapping[str, str]) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in sources:
        raise _bad("no such lane")
    return sources[value]


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _bad("seconds are not a number")
    return min(max(float(value), 0.0), _MOST_SECONDS)


def _bad(message: str) -> Refused:
    return Refused(_BAD_REQUEST, message)

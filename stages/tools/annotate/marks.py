"""The state of a sentence, and the actions that change it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from schemas.vocabulary import DONE, DRAWN, STATUSES, TODO
from stages.core.media.spans import Span

SPANS, STATUS, FLAG, NOTE, UNDO, REDO = KINDS = ("spans", "status", "flag", "note", "undo", "redo")
_EDITED = ", edited"


@dataclass(frozen=True)
class Lane:
    """The marked spans of a referent, sorted and apart; none: it is never what the sentence says.

    Attributes:
        source: `drawn`, or the name of the lane that was accepted, with `, edited` after it if it
            was changed since.
    """

    spans: tuple[Span, ...]
    source: str = DRAWN


@dataclass(frozen=True)
class Marks:
    """All that an annotator says about a sentence.

    Attributes:
        lanes: of each referent, or a single one of a sentence without referents; None until it is
            marked.
    """

    lanes: tuple[Lane | None, ...]
    status: str = TODO
    flag: bool = False
    note: str = ""

    @property
    def decided(self) -> bool:
        """Whether every lane was marked."""
        return None not in self.lanes

    @property
    def exported(self) -> bool:
        """Whether the artifact has the moments of this sentence."""
        return self.status == DONE and not self.flag


@dataclass(frozen=True)
class Action:
    """One action of an annotator.

    Attributes:
        kind: one of KINDS.
        value: the new status, flag or note; of `spans` the spans.
        lane: number of the lane that `spans` changes.
        source: of `spans`: the name of the lane that was accepted, None if they were drawn.
        seconds: spent since the sentence was opened or the action before.
    """

    kind: str
    value: str | bool | tuple[Span, ...] | None = None
    lane: int = 0
    source: str | None = None
    seconds: float = 0.0


@dataclass
class History:
    """The marks of a sentence and the way to them.

    Attributes:
        now: the present marks.
        past, future: what undo and redo lead to, the nearest last.
        revision: number of actions, undo and redo included.
        seconds: spent on the sentence.
    """

    now: Marks
    past: list[Marks] = field(default_factory=list)
    future: list[Marks] = field(default_factory=list)
    revision: int = 0
    seconds: float = 0.0

    def apply(self, action: Action) -> None:
        """Change the marks.

        Raises:
            ValueError: there is nothing to undo or redo, or its value does not fit its kind.
        """
        if action.kind == UNDO:
            self.now = _step(self.now, self.past, self.future)
        elif action.kind == REDO:
            self.now = _step(self.now, self.future, self.past)
        else:
            changed = changed_marks(self.now, action)
            self.past.append(self.now)
            self.future.clear()
            self.now = changed
        self.revision += 1
        self.seconds += action.seconds


def empty_marks(lanes: int) -> Marks:
    """The marks of a sentence with a number of lanes before the first action."""
    return Marks((None,) * lanes)


def changed_marks(marks: Marks, action: Action) -> Marks:
    """The marks after an action that is neither undo nor redo.

    Raises:
        ValueError: its value does not fit its kind.
    """
    value = action.value
    if action.kind == FLAG and isinstance(value, bool):
        return replace(marks, flag=value)
    if action.kind == STATUS and value in STATUSES:
        return replace(marks, status=str(value))
    if action.kind == NOTE and isinstance(value, str):
        return replace(marks, note=value)
    if action.kind != SPANS or not isinstance(value, tuple):
        raise ValueError(f"{value!r} is not a {action.kind}")
    lanes = list(marks.lanes)
    lanes[action.lane] = Lane(value, action.source or _drawn(lanes[action.lane]))
    return replace(marks, lanes=tuple(lanes))


def _drawn(before: Lane | None) -> str:
    """The source of spans that the annotator drew over others."""
    if before is None or before.source == DRAWN or before.source.endswith(_EDITED):
        return DRAWN if before is None else before.source
    return before.source + _EDITED


def _step(now: Marks, taken: list[Marks], kept: list[Marks]) -> Marks:
    if not taken:
        raise ValueError("nothing to undo or redo")
    kept.append(now)
    return taken.pop()

"""One annotator's work on an index, as the page sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import RLock
from typing import Any

from stages.core.browser.content import CONFLICT, Json, Refused, not_found
from stages.core.browser.videos import Videos
from stages.tools.annotate.lanes import CHOICE, Lanes, Source
from stages.tools.annotate.log import Log
from stages.tools.annotate.marks import History
from stages.tools.annotate.records import Sentences, lanes_of
from stages.tools.annotate.requests import parse_action
from stages.tools.annotate.sources import Row

ANNOTATE, ADJUDICATE = "annotate", "adjudicate"


class Session:
    """The content of annotate; see :class:`stages.core.browser.content.Content`.

    Args:
        about: annotator, title and the like, for the page.
        rows: the sentences to show, in the order to work in.
        histories: of every sentence of the index; changed in place.

    Attributes:
        changed: called after an action that may change the artifact.
    """

    def __init__(
        self,
        about: Mapping[str, Any],
        sentences: Sentences,
        videos: Videos,
        rows: Sequence[Row],
        histories: Sequence[History],
        sources: Sequence[Source],
        log: Log,
    ):
        self._about = about
        self._sentences = sentences
        self._videos = videos
        self._rows = rows
        self._histories = histories
        self._sources = sources
        self._log = log
        self._lock = RLock()
        self.changed: Callable[[], None] = _ignore

    def session(self) -> Json:
        """Mode, annotator and lanes."""
        choosing = any(source.kind == CHOICE for source in self._sources)
        return {
            "mode": ADJUDICATE if choosing else ANNOTATE,
            **self._about,
            "sentences": len(self._rows),
            "sources": [
                {"id": source.id, "name": source.name, "kind": source.kind}
                for source in self._sources
            ],
            "predictions": [],
        }

    def sentences(self) -> Json:
        """All sentences to show."""
        with self._lock:
            rows = [self._row(row) for row in self._rows]
        names = [video.video_id for video in self._videos.all]
        return {"count": len(rows), "video": names, "rows": rows}

    def video(self, number: int) -> Json:
        """Names, length, size and rate of a video."""
        return self._videos.facts(number)

    def frame(self, number: int, frame: int) -> tuple[bytes, str]:
        """A frame's file as it is."""
        return self._videos.frame(number, frame)

    def masks(self, number: int, sentence: int, referent: int, start: int, end: int) -> Json:
        """Masks of a referent by frame."""
        expression = self._sentences.all[self._known(sentence)]
        if self._videos.of(number).video_id != expression.video_id:
            raise not_found("sentence of this video")
        return self._videos.masks(expression, referent, start, end)

    def sentence(self, number: int) -> Json:
        """The state of a sentence."""
        with self._lock:
            return self._state(self._known(number))

    def prediction_masks(self, number: int, prediction: int, start: int, end: int) -> Json:
        """There are none to annotate by."""
        raise not_found("prediction")

    def act(self, number: int, action: Mapping[str, Any]) -> Json:
        """Log an action, then apply it; the log is on disk before the answer."""
        with self._lock:
            history = self._histories[self._known(number)]
            if action.get("revision") != history.revision:
                current = {"current": self._state(number)}
                raise Refused(CONFLICT, "the sentence was changed in another window", current)
            names = {source.id: source.name for source in self._sources}
            parsed = parse_action(action, history, self._length(number), names)
            exported = history.now.exported
            self._log.append(self._sentences.record(number, history.revision, parsed))
            history.apply(parsed)
            if exported or history.now.exported:
                self.changed()
            return self._state(number)

    def present(self) -> list[History]:
        """The histories as they are now, without the way there, for the artifact."""
        with self._lock:
            return [replace(history, past=[], future=[]) for history in self._histories]

    def _known(self, number: int) -> int:
        if number >= len(self._histories):
            raise not_found("sentence")
        return number

    def _length(self, number: int) -> int:
        video_id = self._sentences.all[number].video_id
        return self._videos.of(self._videos.numbers[video_id]).num_frames

    def _row(self, row: Row) -> list[Any]:
        expression = self._sentences.all[row.number]
        marks = self._histories[row.number].now
        return [
            self._videos.numbers[expression.video_id],
            expression.expression_id,
            expression.text,
            marks.status,
            int(marks.flag),
            int(bool(marks.note)),
            row.agreement,
            row.number,
        ]

    def _state(self, number: int) -> Json:
        expression, history = self._sentences.all[number], self._histories[number]
        marks = history.now
        referents = [
            {
                "id": anno_id,
                "visible": [] if anno_id is None else self._videos.visible(anno_id),
                "spans": [] if lane is None else lane.spans,
                "decided": lane is not None,
            }
            for anno_id, lane in zip(lanes_of(expression), marks.lanes, strict=True)
        ]
        return {
            "n": number,
            "video": self._videos.numbers[expression.video_id],
            "expression_id": expression.expression_id,
            "text": expression.text,
            "revision": history.revision,
            "status": marks.status,
            "flag": marks.flag,
            "note": marks.note,
            "seconds": history.seconds,
            "undo": bool(history.past),
            "redo": bool(history.future),
            "referents": referents,
            "lanes": self._lanes(number),
        }

    def _lanes(self, number: int) -> dict[str, Lanes]:
        found = ((source.id, source.lanes(number)) for source in self._sources)
        return {name: lanes for name, lanes in found if lanes is not None}


def _ignore() -> None:
    """Nobody waits for changes."""

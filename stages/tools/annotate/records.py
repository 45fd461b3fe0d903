"""Actions as records of the log, bound to the sentence that they were made for."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.errors import CorruptInput, MissingInput
from schemas.receipts import canonical_json
from stages.core.index.index import Expression, Index
from stages.tools.annotate.log import Line
from stages.tools.annotate.marks import KINDS, SPANS, Action, History, empty_marks

Key = tuple[str, str]
_DIGEST_LETTERS = 16


def lanes_of(expression: Expression) -> tuple[str | None, ...]:
    """The referents to mark, or None alone for a sentence without: all of it together."""
    return expression.anno_ids or (None,)


class Sentences:
    """The sentences of an index with what actions on them depend on.

    An action belongs to a sentence by its text, its referents and the names of the video's frames.
    Masks may be corrected and sentences added without harm to spans.
    """

    def __init__(self, index: Index):
        self.folder = index.folder
        self.all = tuple(index.expressions)
        self.numbers = {expression.key: n for n, expression in enumerate(self.all)}
        frames = {
            video_id: _digest([*video.frame_names]) for video_id, video in index.videos.items()
        }
        self._digests = [
            _digest([*e.key, e.text, list(e.anno_ids), frames[e.video_id]]) for e in self.all
        ]

    def record(self, number: int, revision: int, action: Action) -> dict[str, Any]:
        """The record of an action on a sentence at a revision."""
        expression = self.all[number]
        record: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "video": expression.video_id,
            "expression": expression.expression_id,
            "sentence": self._digests[number],
            "revision": revision,
            "seconds": round(action.seconds, 3),
            "kind": action.kind,
        }
        if action.kind == SPANS:
            record["referent"] = lanes_of(expression)[action.lane]
            record["from"] = action.source
        if action.value is not None:
            record["value"] = action.value
        return record

    def new_history(self, number: int) -> History:
        """The history of a sentence without any action."""
        return History(empty_marks(len(lanes_of(self.all[number]))))

    def require(self, record: Mapping[str, Any], index_of_log: object, where: str) -> int:
        """The number of a record's sentence.

        Raises:
            MissingInput: the index lacks it, or has it otherwise.
        """
        key = record["video"], record["expression"]
        number = self.numbers.get(key)
        if number is None or self._digests[number] != record["sentence"]:
            how = "lacks" if number is None else "has with another text, referents or frames"
            raise MissingInput(
                f"was made for the index {index_of_log}; the index {self.folder} {how} video "
                f"{key[0]}, expression {key[1]}",
                where=where,
                hint="name the index that it was made for, or another OUT",
            )
        return number


@dataclass
class Replay:
    """The state that a log leads to, extended as the log grows.

    Attributes:
        histories: of the sentences with actions, by number.
    """

    sentences: Sentences
    path: object
    index_of_log: object = ""

    def __post_init__(self) -> None:
        self.histories: dict[int, History] = {}

    def extend(self, lines: Iterable[Line]) -> None:
        """Apply further lines, without the header.

        Raises:
            CorruptInput: a line is not an action, or not the next one of its sentence.
            MissingInput: the log belongs to another index.
        """
        for line in lines:
            where = f"{self.path}, line {line.number}"
            try:
                self._apply(line.record, where)
            except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
                raise CorruptInput(
                    f"is not an action that fits those before it ({error})", where=where
                ) from error

    def all(self) -> list[History]:
        """The histories of all sentences of the index, by number."""
        count = len(self.sentences.all)
        return [self.histories.get(n) or self.sentences.new_history(n) for n in range(count)]

    def _apply(self, record: Mapping[str, Any], where: str) -> None:
        number = self.sentences.require(record, self.index_of_log, where)
        history = self.histories.get(number) or self.sentences.new_history(number)
        if record["revision"] != history.revision:
            raise ValueError(f"revision {record['revision']} after {history.revision}")
        history.apply(_action(record, self.sentences.all[number]))
        self.histories[number] = history


def _action(record: Mapping[str, Any], expression: Expression) -> Action:
    kind, value, lane = record["kind"], record.get("value"), 0
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}")
    if kind == SPANS:
        lane = lanes_of(expression).index(record["referent"])
        value = tuple((int(start), int(end)) for start, end in record["value"])
    return Action(kind, value, lane, record.get("from"), float(record["seconds"]))


def _digest(value: object) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:_DIGEST_LETTERS]

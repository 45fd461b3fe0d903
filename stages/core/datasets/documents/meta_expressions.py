"""meta_expressions.json, the form that MeViS, Ref-YouTube-VOS and converted Ref-DAVIS17 share.

{"videos": {<video>: {"frames": [<name>, ...], "expressions": {<id>: {"exp": <sentence>, ...}}}}}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from schemas.documents import load_object, mapping
from schemas.errors import CorruptInput, TglError
from schemas.layouts import safe_name
from stages.core.datasets.documents.json_values import whole_text
from stages.core.datasets.faults import Faults
from stages.core.datasets.records import RawExpression, RawVideo

Ids = Callable[[str, Mapping[str, Any], str], tuple[tuple[str, ...], tuple[str, ...]]]


class MetaExpressions:
    """Videos and sentences of one meta file; a faulty one is reported and left out.

    Args:
        path: of the meta file.
        ids: from (video id, expression's entry, place for messages) to object and anno ids.
        faults: what happens at a fault.
    """

    def __init__(self, path: Path, ids: Ids, faults: Faults):
        self.path = path
        self._ids = ids
        self._faults = faults
        self.entries: dict[str, Mapping[str, Any]] = {}
        for name, entry in mapping(load_object(path).get("videos"), f"{path}, videos").items():
            try:
                video_id = safe_name(name, where=path)
                self.entries[video_id] = mapping(entry, f"{path}, video {video_id}")
            except TglError as error:
                faults(error)

    def videos(self) -> list[RawVideo]:
        """Videos in the order of the file."""
        found = []
        for video_id, entry in self.entries.items():
            try:
                found.append(RawVideo(video_id, self._frame_names(video_id, entry)))
            except TglError as error:
                self._faults(error)
        return found

    def expressions(self) -> list[RawExpression]:
        """Expressions in the order of the file."""
        found = []
        for video_id, expression_id, body in self._bodies():
            try:
                found.append(self._expression(video_id, expression_id, body))
            except TglError as error:
                self._faults(error)
        return found

    def _bodies(self) -> Iterator[tuple[str, str, object]]:
        for video_id, entry in self.entries.items():
            where = f"{self.path}, expressions of video {video_id}"
            try:
                bodies = mapping(entry.get("expressions"), where)
            except TglError as error:
                self._faults(error)
                continue
            yield from ((video_id, name, body) for name, body in bodies.items())

    def _frame_names(self, video_id: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
        where = f"{self.path}, video {video_id}"
        frames = entry.get("frames")
        if not isinstance(frames, list) or not frames:
            raise CorruptInput("has no list of frames", where=where)
        names = tuple(safe_name(name, where=where) for name in frames)
        if len(set(names)) != len(names):
            raise CorruptInput("lists a frame twice", where=where)
        return names

    def _expression(self, video_id: str, expression_id: str, body: object) -> RawExpression:
        where = f"{self.path}, video {video_id}, expression {expression_id}"
        safe_name(expression_id, where=where)
        entry = mapping(body, where)
        text = entry.get("exp")
        if not isinstance(text, str) or not text.strip():
            raise CorruptInput("has no sentence in exp", where=where)
        objects, annos = self._ids(video_id, entry, where)
        return RawExpression(video_id, expression_id, whole_text(text, where), objects, annos)

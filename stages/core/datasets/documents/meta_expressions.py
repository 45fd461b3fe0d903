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
from stages.core.datasets.faults import Faults, strict
from stages.core.datasets.records import RawVideo
from stages.core.index.index import Expression

Ids = Callable[[str, Mapping[str, Any], str], tuple[tuple[str, ...], tuple[str, ...]]]
"""From (video id, an expression's entry, place for messages) to object ids and anno ids."""


class MetaExpressions:
    """Videos and sentences of one meta file; what has a fault is reported and left out.

    Args:
        path: the meta file.
        faults: receives the faults.
        hint: what to do if there is no such file.

    Raises:
        MissingInput: no such file.
        CorruptInput: not a JSON object with an object of videos.
    """

    def __init__(self, path: Path, faults: Faults = strict, *, hint: str | None = None):
        self.path = path
        self._faults = faults
        self.entries: dict[str, Mapping[str, Any]] = {}
        document = load_object(path, what="meta file", hint=hint)
        for name, entry in mapping(document.get("videos"), f"{path}, videos").items():
            try:
                video_id = safe_name(name, where=path)
                self.entries[video_id] = mapping(entry, f"{path}, video {video_id}")
            except TglError as error:
                faults(error)

    def videos(self) -> list[RawVideo]:
        """List the videos in the order of the file."""
        found = []
        for video_id, entry in self.entries.items():
            try:
                found.append(RawVideo(video_id, self._frame_names(video_id, entry)))
            except TglError as error:
                self._faults(error)
        return found

    def expression_ids(self, video_id: str) -> tuple[str, ...]:
        """List the ids of a video's expressions in the order of the file."""
        where = f"{self.path}, video {video_id}"
        return tuple(safe_name(name, where=where) for name in self._bodies(video_id))

    def expressions(self, ids: Ids) -> list[Expression]:
        """List the expressions in the order of the file.

        Args:
            ids: reads the ids of an expression's referents.
        """
        found = []
        for video_id, expression_id, body in self._all_bodies():
            try:
                found.append(self._expression(video_id, expression_id, body, ids))
            except TglError as error:
                self._faults(error)
        return found

    def _bodies(self, video_id: str) -> Mapping[str, object]:
        where = f"{self.path}, expressions of video {video_id}"
        return mapping(self.entries[video_id].get("expressions"), where)

    def _all_bodies(self) -> Iterator[tuple[str, str, object]]:
        for video_id in self.entries:
            try:
                bodies = self._bodies(video_id)
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

    def _expression(self, video_id: str, expression_id: str, body: object, ids: Ids) -> Expression:
        where = f"{self.path}, video {video_id}, expression {expression_id}"
        safe_name(expression_id, where=where)
        entry = mapping(body, where)
        text = entry.get("exp")
        if not isinstance(text, str) or not text.strip():
            raise CorruptInput("has no sentence in exp", where=where)
        objects, annos = ids(video_id, entry, where)
        return Expression(video_id, expression_id, whole_text(text, where), objects, annos)

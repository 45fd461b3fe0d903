"""MeViS v1 and v2 splits: meta_expressions.json, mask_dict.json, JPEGImages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from schemas.errors import CorruptInput, MissingInput
from schemas.layouts import MEVIS_EXPRESSIONS, MEVIS_EXPRESSIONS_V2, MEVIS_MASKS, safe_name
from stages.build_moments.dataset import RawExpression, RawVideo
from stages.build_moments.json_stream import stream_members
from stages.build_moments.rle import read_rle
from stages.index.masks import Rle


class MevisSplit:
    """A split folder of MeViS.

    Expressions of v2 without objects are kept with empty id lists; unknown fields are ignored.

    Args:
        root: the folder with meta_expressions.json.

    Raises:
        MissingInput: no meta file.
        CorruptInput: the meta file is not as FORMATS of MeViS says.
    """

    def __init__(self, root: Path):
        self.root = root
        self._path = _meta_path(root)
        self._videos = _read_videos(self._path)

    def videos(self) -> list[RawVideo]:
        """Videos in the order of the file."""
        return [
            RawVideo(name, self._frame_names(name, entry)) for name, entry in self._videos.items()
        ]

    def expressions(self) -> list[RawExpression]:
        """Expressions in the order of the file."""
        return [
            self._expression(video_id, expression_id, body)
            for video_id, entry in self._videos.items()
            for expression_id, body in _mapping(
                entry.get("expressions"), self._path, f"expressions of video {video_id}"
            ).items()
        ]

    def tracks(self) -> Iterator[tuple[str, list[Rle | None]]]:
        """Mask tracks in the order of mask_dict.json; none where the split has no such file."""
        path = self.root / MEVIS_MASKS
        if not path.exists():
            return
        for anno_id, masks in stream_members(path):
            if not isinstance(masks, list):
                raise CorruptInput(f"anno id {anno_id} holds no list of masks", where=path)
            yield (
                anno_id,
                [
                    None
                    if mask is None
                    else read_rle(mask, where=f"{path}, anno id {anno_id}, {i}")
                    for i, mask in enumerate(masks)
                ],
            )

    def _frame_names(self, video_id: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
        where = f"{self._path}, video {video_id}"
        frames = entry.get("frames")
        if not isinstance(frames, list) or not frames:
            raise CorruptInput("has no list of frames", where=where)
        names = tuple(safe_name(name, where=where) for name in frames)
        if len(set(names)) != len(names):
            raise CorruptInput("lists a frame twice", where=where)
        return names

    def _expression(
        self, video_id: str, expression_id: str, body: Mapping[str, Any]
    ) -> RawExpression:
        where = f"{self._path}, video {video_id}, expression {expression_id}"
        safe_name(expression_id, where=where)
        text = body.get("exp") if isinstance(body, Mapping) else None
        if not isinstance(text, str) or not text.strip():
            raise CorruptInput("has no sentence in exp", where=where)
        objects = _ids(body.get("obj_id"), where)
        annos = _ids(body.get("anno_id"), where)
        if objects and annos and len(objects) != len(annos):
            raise CorruptInput(f"lists {len(objects)} obj_id and {len(annos)} anno_id", where=where)
        return RawExpression(video_id, expression_id, text, objects, annos)


def is_mevis(root: Path) -> bool:
    """Whether a folder looks like a split of MeViS."""
    return any((root / name).is_file() for name in (MEVIS_EXPRESSIONS, MEVIS_EXPRESSIONS_V2))


def _meta_path(root: Path) -> Path:
    for name in (MEVIS_EXPRESSIONS, MEVIS_EXPRESSIONS_V2):
        if (root / name).is_file():
            return root / name
    raise MissingInput(
        f"has no {MEVIS_EXPRESSIONS}", where=root, hint="name the folder of one split"
    )


def _read_videos(path: Path) -> dict[str, Mapping[str, Any]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptInput(f"is not readable JSON ({error})", where=path) from error
    videos = _mapping(_mapping(document, path, "the file").get("videos"), path, "videos")
    return {
        safe_name(video_id, where=path): _mapping(entry, path, f"video {video_id}")
        for video_id, entry in videos.items()
    }


def _mapping(value: object, path: Path, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise CorruptInput(f"{what}: a JSON object is needed, found {_kind(value)}", where=path)
    return value


def _ids(value: object, where: str) -> tuple[str, ...]:
    """Ids as strings: a list of numbers or strings, a single one, or nothing (no target)."""
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    if any(isinstance(item, bool) or not isinstance(item, int | str) for item in items):
        raise CorruptInput("has an id that is neither a number nor a string", where=where)
    return tuple(str(item) for item in items)


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__

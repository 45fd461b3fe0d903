"""What a server expects, read from the split's meta file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.documents import load_object
from schemas.errors import CorruptInput, MissingInput
from schemas.layouts import MASK_SUFFIX, safe_name
from stages.core.media.frames import FRAME_SUFFIXES, frame_size

Size = tuple[int, int]


@dataclass(frozen=True)
class ExpectedVideo:
    """A video of the meta file.

    Attributes:
        size: (height, width) of its frames; None where the pictures are not at hand.
    """

    video_id: str
    expressions: tuple[str, ...]
    frames: tuple[str, ...]
    size: Size | None = None

    def paths(self) -> Iterator[str]:
        """Every mask as `<video>/<expression>/<frame>.png`, in order."""
        for expression in self.expressions:
            for frame in self.frames:
                yield f"{self.video_id}/{expression}/{frame}{MASK_SUFFIX}"


def read_expected(
    meta: Path, *, pictures: Path | None = None, exclude: Path | None = None
) -> list[ExpectedVideo]:
    """The videos of a meta file, in its order.

    Args:
        pictures: folder with a folder of pictures for each video, for the size of its masks.
        exclude: a meta file whose videos are left out.

    Raises:
        MissingInput: no such file, or a video's first picture is not there.
        CorruptInput: not a meta file, or nothing is left of it.
    """
    dropped = set(_videos(exclude)) if exclude is not None else set()
    expected = [
        _expected_video(meta, video_id, entry, pictures)
        for video_id, entry in _videos(meta).items()
        if video_id not in dropped
    ]
    if not any(video.expressions for video in expected):
        raise CorruptInput("expects no mask at all", where=meta)
    return expected


def _expected_video(meta: Path, video_id: str, entry: Any, pictures: Path | None) -> ExpectedVideo:
    where = f"{meta}, video {video_id}"
    safe_name(video_id, where=meta)
    if not isinstance(entry, Mapping):
        raise CorruptInput("is no JSON object", where=where)
    frames, expressions = entry.get("frames"), entry.get("expressions")
    if not isinstance(frames, list) or not frames:
        raise CorruptInput("has no list of frames", where=where)
    if not isinstance(expressions, Mapping):
        raise CorruptInput("has no expressions", where=where)
    names = tuple(safe_name(name, where=where) for name in frames)
    if len(set(names)) != len(names):
        raise CorruptInput("lists a frame twice", where=where)
    ids = tuple(safe_name(name, where=where) for name in expressions)
    size = None if pictures is None else _size(pictures / video_id, names[0])
    return ExpectedVideo(video_id, ids, names, size)


def _size(folder: Path, name: str) -> Size:
    for suffix in FRAME_SUFFIXES:
        if os.path.lexists(folder / f"{name}{suffix}"):
            return frame_size(folder / f"{name}{suffix}")
    raise MissingInput(
        "the frame is not there, and with it the size of the masks",
        where=folder / f"{name}{FRAME_SUFFIXES[0]}",
        hint="name the split's folder of frames with --frames",
    )


def _videos(path: Path) -> Mapping[str, Any]:
    document = load_object(path, what="meta file", hint="name the split's meta_expressions.json")
    videos = document.get("videos")
    if not isinstance(videos, Mapping):
        raise CorruptInput("has no object of videos", where=path)
    return videos

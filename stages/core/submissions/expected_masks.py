"""The masks that a server expects, as the meta file of the split lists them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import CorruptInput, MissingInput
from schemas.layouts import MASK_SUFFIX
from stages.core.datasets.documents.meta_expressions import MetaExpressions
from stages.core.media.frames import FRAME_SUFFIXES, frame_size

Size = tuple[int, int]
"""(H, W)."""
_HINT = "name the split's meta_expressions.json"


@dataclass(frozen=True)
class ExpectedVideo:
    """A video of the meta file.

    Attributes:
        expressions: ids of its expressions.
        frames: names of its frames, without suffix.
        size: (H, W) of its frames; None if it is not known.
    """

    video_id: str
    expressions: tuple[str, ...]
    frames: tuple[str, ...]
    size: Size | None = None

    def paths(self) -> Iterator[str]:
        """Yield the path of every mask in order, `<video>/<expression>/<frame>.png`."""
        for expression in self.expressions:
            for frame in self.frames:
                yield f"{self.video_id}/{expression}/{frame}{MASK_SUFFIX}"


def read_expected(
    meta: Path, *, frames_dir: Path | None = None, exclude: Path | None = None
) -> list[ExpectedVideo]:
    """Read the videos of a meta file, in its order.

    Args:
        frames_dir: folder with one folder of frames per video, for the sizes of the masks.
        exclude: a meta file whose videos are left out.

    Raises:
        MissingInput: no such file, or the first frame of a video is missing.
        CorruptInput: not a meta file, or no mask of it is expected.
    """
    known = MetaExpressions(meta, hint=_HINT)
    dropped = set() if exclude is None else MetaExpressions(exclude, hint=_HINT).entries.keys()
    expected = [
        ExpectedVideo(
            video.video_id,
            known.expression_ids(video.video_id),
            video.frame_names,
            None
            if frames_dir is None
            else _size(frames_dir / video.video_id, video.frame_names[0]),
        )
        for video in known.videos()
        if video.video_id not in dropped
    ]
    if not any(video.expressions for video in expected):
        raise CorruptInput("expects no masks at all", where=meta)
    return expected


def _size(folder: Path, name: str) -> Size:
    for suffix in FRAME_SUFFIXES:
        if os.path.lexists(folder / f"{name}{suffix}"):
            return frame_size(folder / f"{name}{suffix}")
    raise MissingInput(
        "the frame is missing, so that the size of the masks is not known",
        where=folder / f"{name}{FRAME_SUFFIXES[0]}",
        hint="name the split's folder of frames with --frames",
    )

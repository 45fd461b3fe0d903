"""Ground truth from a folder of label images, `<video>/<frame>.png` with object numbers.

Number 0 is background, and 255 is DAVIS's void: never an object, but a track of its own for the
protocols that do not judge predictions there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from schemas.errors import MissingInput
from schemas.layouts import MASK_SUFFIX
from stages.score.cases import Case, TruthFault, VideoCases
from stages.score.masks.packed_masks import PackedMask, pack
from stages.score.masks.png import read_labels
from stages.score.truth.mask_folder import masks_in, subfolders

VOID_TRACK = "255"


@dataclass(frozen=True)
class LabelTracks:
    """Tracks in the label images of one video's folder, by object number."""

    folder: Path
    frame_names: tuple[str, ...]

    def open(self) -> LabelReader:
        """Open a reader, which keeps one image in memory."""
        return LabelReader(self)


class LabelReader:
    """Reads objects of one video; see :class:`stages.score.cases.TrackReader`."""

    def __init__(self, source: LabelTracks):
        self._source = source
        self._frame = -1
        self._labels = np.zeros((0, 0), np.uint8)

    def mask(self, track: str, frame: int) -> PackedMask | None:
        """Read the pixels of an object number in a frame."""
        if frame != self._frame:
            path = self._source.folder / f"{self._source.frame_names[frame]}{MASK_SUFFIX}"
            try:
                self._labels = read_labels(path)
            except MissingInput as error:
                raise TruthFault(f"ground truth is missing ({path})") from error
            self._frame = frame
        return pack(self._labels == int(track))

    def frames(self, track: str) -> set[int]:
        """Return all frames: each has a label image."""
        return set(range(len(self._source.frame_names)))


def read_labels_folder(root: Path) -> list[VideoCases]:
    """Read one case per object of every video, in order of names and numbers.

    Raises:
        MissingInput: there is no label image.
        CorruptInput: an image cannot be read.
    """
    videos = [_video(folder) for folder in subfolders(root)]
    found = [video for video in videos if video.cases]
    if not found:
        raise MissingInput("has no <video>/<frame>.png with object numbers", where=root)
    return found


def _video(folder: Path) -> VideoCases:
    names = tuple(masks_in(folder))
    numbers: set[int] = set()
    for name in names:
        numbers.update(np.unique(read_labels(folder / f"{name}{MASK_SUFFIX}")).tolist())
    cases = tuple(
        Case(
            video_id=folder.name,
            expression_id=str(number),
            text="",
            tracks=(str(number),),
            frames=tuple(range(len(names))),
            folder=folder.name,
            label=number,
        )
        for number in sorted(numbers - {0, int(VOID_TRACK)})
    )
    return VideoCases(folder.name, names, None, cases, LabelTracks(folder, names))

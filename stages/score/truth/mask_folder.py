"""Ground truth from a folder of masks, laid out like predictions.

`<video>/<expression>/<frame>.png` with any foreground, for the protocols mevis and
ref-youtube-vos.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import MissingInput
from schemas.layouts import MASK_SUFFIX, natural_key
from stages.score.cases import Case, TruthFault, VideoCases
from stages.score.masks.packed_masks import PackedMask
from stages.score.masks.png import read_mask


@dataclass(frozen=True)
class FolderTracks:
    """Tracks that are folders below `root`; the mask of a frame is `<root>/<track>/<name>.png`."""

    root: Path
    frame_names: tuple[str, ...]

    def open(self) -> FolderReader:
        """Open a reader; it opens files one at a time."""
        return FolderReader(self)


class FolderReader:
    """Reads masks of one video; see :class:`stages.score.cases.TrackReader`."""

    def __init__(self, source: FolderTracks):
        self._source = source

    def mask(self, track: str, frame: int) -> PackedMask | None:
        """Read the foreground of a track's file."""
        name = self._source.frame_names[frame]
        path = Path(f"{self._source.root}/{track}/{name}{MASK_SUFFIX}")  # faster than by parts
        try:
            return read_mask(path)
        except MissingInput as error:
            raise TruthFault(f"ground truth is missing ({path})") from error

    def frames(self, track: str) -> set[int]:
        """Return the frames that have a file."""
        present = set(masks_in(self._source.root / track))
        return {frame for frame, name in enumerate(self._source.frame_names) if name in present}


def read_folder(root: Path) -> list[VideoCases]:
    """Read all cases of a folder of masks, in order of their names.

    Raises:
        MissingInput: there is no mask.
    """
    videos = [_video(root, folder) for folder in subfolders(root)]
    found = [video for video in videos if video.cases]
    if not found:
        raise MissingInput(
            "has neither an index, nor a split of MeViS, nor <video>/<expression>/<frame>.png",
            where=root,
        )
    return found


def _video(root: Path, folder: Path) -> VideoCases:
    files = {expression.name: masks_in(expression) for expression in subfolders(folder)}
    names = tuple(sorted(set().union(*files.values())))
    position = {name: index for index, name in enumerate(names)}
    cases = tuple(
        Case(
            video_id=folder.name,
            expression_id=expression,
            text="",
            tracks=(f"{folder.name}/{expression}",),
            frames=tuple(sorted(position[name] for name in present)),
            folder=f"{folder.name}/{expression}",
        )
        for expression, present in files.items()
        if present
    )
    return VideoCases(folder.name, names, None, cases, FolderTracks(root, names))


def subfolders(folder: Path) -> list[Path]:
    """List the folders in a folder by name, without hidden ones."""
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )


def masks_in(folder: Path) -> list[str]:
    """List the names of the PNG files in a folder, without suffix, sorted."""
    return sorted(
        (path.stem for path in folder.iterdir() if path.suffix == MASK_SUFFIX), key=natural_key
    )

"""Data sets of any layout, as they are read before they become tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from schemas.layouts import number_gaps, orders_differ
from schemas.wording import amount, listing
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Expression
from stages.core.media.rle import Rle

RawTrack = tuple[str, list[Rle | None]]


@dataclass(frozen=True)
class DatasetPath:
    """A data set on disk.

    Attributes:
        root: the folder that the user named.
        split: one of several splits in it.
        frames: an artifact of extract-frames with its frames, or the folder of its images, for
            layouts that may lack them.
    """

    root: Path
    split: str | None = None
    frames: Path | None = None

    @property
    def folder(self) -> Path:
        """Folder of the split; a data set of one split is its own folder."""
        inside = self.root / self.split if self.split else self.root
        return inside if inside.is_dir() else self.root


@dataclass(frozen=True)
class RawVideo:
    """A video as the data set lists it.

    Attributes:
        frame_names: without suffix.
        folder: of its frames; None for one that is named as the video.
    """

    video_id: str
    frame_names: tuple[str, ...]
    folder: Path | None = None


def has_target(expression: Expression) -> bool:
    """Return whether an expression refers to any object."""
    return bool(expression.object_ids or expression.anno_ids)


class Dataset(Protocol):
    """Reader of one layout.

    Attributes:
        layout: its name in `--layout`.
        images: whether it has images instead of videos. Each is a video of one frame, which is the
            moment of all that it shows, and lies in `frames_dir` itself.
        frames_unlisted: whether the frames of a video are those in its folder, in natural order.
        frames_dir: folder with one folder of frames per video.
        masks: file or folder of the masks, for messages.
        moments: moments file that belongs to the data set; it may be missing.
        notes: counts of what was left out or corrected, for the summary.
    """

    layout: str
    images: bool
    frames_unlisted: bool
    frames_dir: Path
    masks: Path
    moments: Path
    notes: Mapping[str, int]

    def videos(self) -> list[RawVideo]:
        """List the videos in the order of the data set."""

    def expressions(self) -> list[Expression]:
        """List the expressions in the order of the data set."""

    def tracks(self, runtime: Runtime) -> Iterator[RawTrack]:
        """Stream the mask tracks in any order, as (anno_id, one RLE or None per frame)."""


def order_warnings_of(dataset: Dataset) -> list[str]:
    """One line for the videos whose frames have another order as text, one for missing numbers.

    Data sets that list their frames say themselves which follow each other.
    """
    if not dataset.frames_unlisted:
        return []
    videos = dataset.videos()
    ordered = [video.video_id for video in videos if orders_differ(video.frame_names)]
    gaps = {video.video_id: found for video in videos if (found := number_gaps(video.frame_names))}
    lines = []
    if ordered:
        lines.append(f"frames are ordered by number, not as text, of {listing(ordered, 'videos')}")
    if gaps:
        total = sum(map(len, gaps.values()))
        name, ((before, after), *_) = next(iter(gaps.items()))
        lines.append(
            f"{amount(total, 'gaps')} in the frame numbers of {amount(len(gaps), 'videos')}, first "
            f"from {before} to {after} of {name}; such frames follow each other"
        )
    return lines

"""What every data set layout is read into before it becomes tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stages.core.engine.runtime import Runtime
from stages.core.media.rle import Rle

RawTrack = tuple[str, list[Rle | None]]


@dataclass(frozen=True)
class RawVideo:
    """A video as the data set lists it; `frame_names` have no suffix."""

    video_id: str
    frame_names: tuple[str, ...]


@dataclass(frozen=True)
class RawExpression:
    """A sentence as the data set lists it; ids are strings whatever the file holds."""

    video_id: str
    expression_id: str
    text: str
    object_ids: tuple[str, ...]
    anno_ids: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str]:
        """What identifies it."""
        return self.video_id, self.expression_id


class Dataset(Protocol):
    """One layout's reader.

    Attributes:
        layout: its name in `--layout`.
        pictures: the folder that holds a folder of pictures for each video.
        masks: the file or folder of masks, for messages.
        moments: the moments file that belongs to it, whether or not it is there.
        notes: what was left out or corrected, counted, for the summary.
    """

    layout: str
    pictures: Path
    masks: Path
    moments: Path
    notes: Mapping[str, int]

    def videos(self) -> list[RawVideo]:
        """Videos in the order of the data set."""

    def expressions(self) -> list[RawExpression]:
        """Expressions in the order of the data set."""

    def tracks(self, runtime: Runtime) -> Iterator[RawTrack]:
        """Mask tracks as (anno_id, one RLE or None for each frame), streamed in any order."""

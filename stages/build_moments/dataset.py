"""What every data set layout is read into before it becomes tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stages.index.masks import Rle


@dataclass(frozen=True)
class RawVideo:
    """A video as the data set lists it; `frame_names` have no suffix."""

    video_id: str
    frame_names: tuple[str, ...]


@dataclass(frozen=True)
class RawExpression:
    """A sentence as the data set lists it."""

    video_id: str
    expression_id: str
    text: str
    object_ids: tuple[str, ...]
    anno_ids: tuple[str, ...]


class Dataset(Protocol):
    """One layout's reader."""

    root: Path

    def videos(self) -> list[RawVideo]:
        """Videos in the order of the data set."""

    def expressions(self) -> list[RawExpression]:
        """Expressions in the order of the data set."""

    def tracks(self) -> Iterator[tuple[str, list[Rle | None]]]:
        """Mask tracks as (anno_id, one RLE or None for each frame), streamed."""

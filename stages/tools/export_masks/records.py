"""A video whose masks are exported, and its objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from stages.core.index.masks import Track

OBJECT_LABEL = "object"
"""Label of an object that has no sentence of its own."""


@dataclass(frozen=True)
class ExportObject:
    """An object of a video.

    Attributes:
        object_id: unique in the video.
        label: its category.
        expression_ids: the sentences that are about it.
    """

    object_id: str
    label: str
    expression_ids: tuple[str, ...]


@dataclass(frozen=True)
class ExportVideo:
    """A video whose masks are exported.

    Attributes:
        frame_names: file names without suffix, in order.
        frame_suffix: of the frames' files.
        sentences: all of the video, by expression id, also those without an object.
    """

    video_id: str
    frame_names: tuple[str, ...]
    frame_suffix: str
    height: int
    width: int
    objects: tuple[ExportObject, ...]
    sentences: Mapping[str, str]

    def sentences_of(self, known: ExportObject) -> list[str]:
        """The sentences that are about an object."""
        return [self.sentences[name] for name in known.expression_ids]

    def frame_file(self, frame: int) -> str:
        """The path of a frame below the folder of all frames, `<video>/<name>.jpg`."""
        return f"{self.video_id}/{self.frame_names[frame]}{self.frame_suffix}"


class MaskSource(Protocol):
    """Videos and their masks."""

    def videos(self) -> list[ExportVideo]:
        """All videos, in the order of the source."""

    def left_out(self, videos: Sequence[ExportVideo]) -> dict[str, int]:
        """Count what the export of these videos does not have, for the summary."""

    def tracks(self, video: ExportVideo) -> Iterator[Track]:
        """The masks of each object of a video, none of them empty, in the objects' order."""


class MaskRow(NamedTuple):
    """A mask that was exported; the position of its object in the video, box and area in pixels.

    Attributes:
        lost: number of its pixels that the format could not hold.
        counts: compressed COCO RLE, for formats with one file for all videos; empty otherwise.
    """

    object: int
    frame: int
    x: int
    y: int
    width: int
    height: int
    area: int
    lost: int = 0
    counts: bytes = b""

    @property
    def box(self) -> list[int]:
        """Left, top, width and height."""
        return [self.x, self.y, self.width, self.height]


class MaskFormat(Protocol):
    """A format of masks.

    Attributes:
        lost: name of the pixels that it cannot hold, for the summary; empty if it holds all.
    """

    lost: str

    def write_video(
        self, video: ExportVideo, tracks: list[Track], root: Path, labels: list[str]
    ) -> tuple[list[MaskRow], list[Path]]:
        """Write the files of one video below `root`; its masks in the order of objects and frames.

        Args:
            tracks: of the video's objects.
            labels: of all videos, in the order of their numbers.
        """

    def write_whole(
        self,
        videos: list[ExportVideo],
        rows: Iterator[list[MaskRow]],
        root: Path,
        labels: list[str],
    ) -> None:
        """Write the files that are about all videos, of which `rows` has the masks."""

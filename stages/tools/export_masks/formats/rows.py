"""Parts that formats share: rows of masks, JSON files for all videos, formats of single videos."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from pycocotools import mask as coco

from stages.core.index.masks import Track
from stages.core.media.rle import Rle
from stages.tools.export_masks.records import ExportVideo, MaskRow

ANNOTATIONS_FILE = "annotations.json"
Entry = dict[str, Any]


def mask_row(number: int, frame: int, rle: Rle, *, lost: int = 0, keep: bool = False) -> MaskRow:
    """Describe a mask.

    Args:
        number: position of its object in the video.
        lost: number of its pixels that the format could not hold.
        keep: whether the row holds the mask itself.
    """
    x, y, width, height = (int(value) for value in coco.toBbox(rle))
    counts = rle["counts"] if keep else b""
    return MaskRow(number, frame, x, y, width, height, int(coco.area(rle)), lost, counts)


class FilePerVideo:
    """Base of formats without a file about all videos."""

    def write_whole(
        self,
        videos: list[ExportVideo],
        rows: Iterator[list[MaskRow]],
        root: Path,
        labels: list[str],
    ) -> None:
        """Write nothing: every file is of one video."""


class JsonForAll:
    """Base of formats with one JSON file for all videos, `annotations.json`.

    Attributes:
        listed: the key of the list of videos, or of their frames.
    """

    lost = ""
    listed: str

    def write_video(
        self, video: ExportVideo, tracks: list[Track], root: Path, labels: list[str]
    ) -> tuple[list[MaskRow], list[Path]]:
        """Return the masks; no file is of one video alone."""
        rows = [
            mask_row(number, frame, rle, keep=True)
            for number, track in enumerate(tracks)
            for frame, rle in sorted(track.items())
        ]
        return rows, []

    def write_whole(
        self,
        videos: list[ExportVideo],
        rows: Iterator[list[MaskRow]],
        root: Path,
        labels: list[str],
    ) -> None:
        """Write the file, video by video; categories are numbered from 1."""
        numbers = {label: number for number, label in enumerate(labels, start=1)}
        categories = [{"id": number, "name": label} for label, number in numbers.items()]
        with (root / ANNOTATIONS_FILE).open("w", encoding="utf-8") as file:
            file.write(f'{{"categories": {json.dumps(categories)},\n"{self.listed}": [\n')
            _write_list(file, self.entries(videos))
            file.write('],\n"annotations": [\n')
            _write_list(file, self.annotations(videos, rows, numbers))
            file.write("]}\n")

    @abstractmethod
    def entries(self, videos: list[ExportVideo]) -> Iterator[Entry]:
        """Yield what is listed of the videos."""

    @abstractmethod
    def annotations(
        self,
        videos: list[ExportVideo],
        rows: Iterator[list[MaskRow]],
        numbers: Mapping[str, int],
    ) -> Iterator[Entry]:
        """Yield the annotations; `numbers` are those of the labels."""


def _write_list(file: IO[str], items: Iterator[Entry]) -> None:
    """Write the items of a JSON list, one per line."""
    for number, item in enumerate(items):
        file.write(",\n" if number else "")
        json.dump(item, file, ensure_ascii=False)
    file.write("\n")


def text_rle(mask: MaskRow, video: ExportVideo) -> Entry:
    """The run lengths of a mask as JSON holds them."""
    return {"size": [video.height, video.width], "counts": mask.counts.decode("ascii")}

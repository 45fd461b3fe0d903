"""YouTube-VIS: `annotations.json`, one entry per object with a run length or null per frame.

The format: https://youtube-vos.org/dataset/vis. Objects without any mask are left out, as there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.core.index.masks import Track
from stages.tools.export_masks.formats.coco import ANNOTATIONS_FILE, categories, write_list
from stages.tools.export_masks.formats.rows import kept_rows
from stages.tools.export_masks.records import ExportVideo, MaskRow


class YoutubeVis:
    """One file for all videos."""

    lost = ""

    def write_video(
        self, video: ExportVideo, tracks: list[Track], root: Path, labels: list[str]
    ) -> tuple[list[MaskRow], list[Path]]:
        """Return the masks; no file is of one video alone."""
        return kept_rows(tracks), []

    def write_whole(
        self,
        videos: list[ExportVideo],
        rows: Iterator[list[MaskRow]],
        root: Path,
        labels: list[str],
    ) -> None:
        """Write annotations.json, video by video."""
        with (root / ANNOTATIONS_FILE).open("w", encoding="utf-8") as file:
            file.write(f'{{"categories": {json.dumps(categories(labels))},\n"videos": [\n')
            write_list(file, map(_video, enumerate(videos, start=1)))
            file.write('],\n"annotations": [\n')
            write_list(file, _annotations(videos, rows, labels))
            file.write("]}\n")


def _video(numbered: tuple[int, ExportVideo]) -> dict[str, Any]:
    number, video = numbered
    length = len(video.frame_names)
    return {
        "id": number,
        "file_names": [video.frame_file(frame) for frame in range(length)],
        "width": video.width,
        "height": video.height,
        "length": length,
    }


def _annotations(
    videos: list[ExportVideo], rows: Iterator[list[MaskRow]], labels: list[str]
) -> Iterator[dict[str, Any]]:
    category = {label: number for number, label in enumerate(labels, start=1)}
    number = 0
    for video_number, (video, masks) in enumerate(zip(videos, rows, strict=True), start=1):
        for place, known in enumerate(video.objects):
            own = {mask.frame: mask for mask in masks if mask.object == place}
            if not own:
                continue
            number += 1
            frames = [own.get(frame) for frame in range(len(video.frame_names))]
            yield {
                "id": number,
                "video_id": video_number,
                "category_id": category[known.label],
                "segmentations": [_segmentation(mask, video) for mask in frames],
                "bboxes": [mask and [mask.x, mask.y, mask.width, mask.height] for mask in frames],
                "areas": [mask and mask.area for mask in frames],
                "iscrowd": 0,
                "width": video.width,
                "height": video.height,
                "length": len(frames),
                "object": known.object_id,
                "sentences": video.sentences_of(known),
            }


def _segmentation(mask: MaskRow | None, video: ExportVideo) -> dict[str, Any] | None:
    if mask is None:
        return None
    return {"size": [video.height, video.width], "counts": mask.counts.decode("ascii")}


FORMAT = YoutubeVis()

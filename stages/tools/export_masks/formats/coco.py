"""COCO instances: `annotations.json`, run lengths of each object on each frame.

The format: https://cocodataset.org/#format-data. An image is a frame, `file_name` is its path below
the folder of all frames. `track_id` is the same for all masks of an object in its video; it and the
sentences are also attributes, which CVAT imports.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.core.index.masks import Track
from stages.tools.export_masks.formats.rows import kept_rows
from stages.tools.export_masks.records import ExportVideo, MaskRow

ANNOTATIONS_FILE = "annotations.json"


class Coco:
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
            file.write(f'{{"categories": {json.dumps(categories(labels))},\n"images": [\n')
            write_list(file, _images(videos))
            file.write('],\n"annotations": [\n')
            write_list(file, _annotations(videos, rows, labels))
            file.write("]}\n")


def categories(labels: list[str]) -> list[dict[str, Any]]:
    """The labels as COCO numbers them, from 1."""
    return [{"id": number, "name": label} for number, label in enumerate(labels, start=1)]


def write_list(file: Any, items: Iterator[dict[str, Any]]) -> None:
    """Write the items of a JSON list, one per line."""
    for number, item in enumerate(items):
        file.write(",\n" if number else "")
        json.dump(item, file, ensure_ascii=False)
    file.write("\n")


def _images(videos: list[ExportVideo]) -> Iterator[dict[str, Any]]:
    number = 0
    for video in videos:
        for frame in range(len(video.frame_names)):
            number += 1
            yield {
                "id": number,
                "file_name": video.frame_file(frame),
                "width": video.width,
                "height": video.height,
                "video": video.video_id,
                "frame": frame,
            }


def _annotations(
    videos: list[ExportVideo], rows: Iterator[list[MaskRow]], labels: list[str]
) -> Iterator[dict[str, Any]]:
    category = {label: number for number, label in enumerate(labels, start=1)}
    number = frames = objects = 0
    for video, masks in zip(videos, rows, strict=True):
        for mask in masks:
            number += 1
            known = video.objects[mask.object]
            track = objects + mask.object + 1
            yield {
                "id": number,
                "image_id": frames + mask.frame + 1,
                "category_id": category[known.label],
                "segmentation": {
                    "size": [video.height, video.width],
                    "counts": mask.counts.decode("ascii"),
                },
                "area": mask.area,
                "bbox": [mask.x, mask.y, mask.width, mask.height],
                "iscrowd": 0,
                "track_id": track,
                "attributes": {
                    "track_id": track,
                    "object": known.object_id,
                    "sentences": " | ".join(video.sentences_of(known)),
                },
            }
        frames += len(video.frame_names)
        objects += len(video.objects)


FORMAT = Coco()

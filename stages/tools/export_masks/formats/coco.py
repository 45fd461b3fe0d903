"""COCO instances: `annotations.json`, run lengths of each object on each frame.

The format: https://cocodataset.org/#format-data. An image is a frame, `file_name` is its path below
the folder of all frames. `track_id` is the same for all masks of an object in its video; it and the
sentences are also attributes, which CVAT imports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stages.tools.export_masks.formats.rows import Entry, JsonForAll, text_rle
from stages.tools.export_masks.records import ExportVideo, MaskRow


class Coco(JsonForAll):
    """Images, and an annotation per mask."""

    listed = "images"

    def entries(self, videos: list[ExportVideo]) -> Iterator[Entry]:
        """Yield the frames of all videos as images."""
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

    def annotations(
        self,
        videos: list[ExportVideo],
        rows: Iterator[list[MaskRow]],
        numbers: Mapping[str, int],
    ) -> Iterator[Entry]:
        """Yield an annotation for each mask."""
        number = frames = objects = 0
        for video, masks in zip(videos, rows, strict=True):
            for mask in masks:
                number += 1
                known = video.objects[mask.object]
                track = objects + mask.object + 1
                yield {
                    "id": number,
                    "image_id": frames + mask.frame + 1,
                    "category_id": numbers[known.label],
                    "segmentation": text_rle(mask, video),
                    "area": mask.area,
                    "bbox": mask.box,
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

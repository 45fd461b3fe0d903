"""YouTube-VIS: `annotations.json`, one entry per object with a run length or null per frame.

The format: https://youtube-vos.org/dataset/vis. Objects without any mask are left out, as there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stages.tools.export_masks.formats.rows import Entry, JsonForAll, text_rle
from stages.tools.export_masks.records import ExportVideo, MaskRow


class YoutubeVis(JsonForAll):
    """Videos, and an annotation per object."""

    listed = "videos"

    def entries(self, videos: list[ExportVideo]) -> Iterator[Entry]:
        """Yield the videos."""
        for number, video in enumerate(videos, start=1):
            length = len(video.frame_names)
            yield {
                "id": number,
                "file_names": [video.frame_file(frame) for frame in range(length)],
                "width": video.width,
                "height": video.height,
                "length": length,
            }

    def annotations(
        self,
        videos: list[ExportVideo],
        rows: Iterator[list[MaskRow]],
        numbers: Mapping[str, int],
    ) -> Iterator[Entry]:
        """Yield an annotation for each object that has a mask."""
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
                    "category_id": numbers[known.label],
                    "segmentations": [mask and text_rle(mask, video) for mask in frames],
                    "bboxes": [mask and mask.box for mask in frames],
                    "areas": [mask and mask.area for mask in frames],
                    "iscrowd": 0,
                    "width": video.width,
                    "height": video.height,
                    "length": len(frames),
                    "object": known.object_id,
                    "sentences": video.sentences_of(known),
                }


FORMAT = YoutubeVis()

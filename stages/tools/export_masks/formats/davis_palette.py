"""Palette PNGs of DAVIS: `Annotations/<video>/<frame>.png`, a pixel is the number of its object.

`expressions.csv` beside them names the objects of each sentence, so that the folder is a data set
of the layout `folder`, which `tgl build-moments` reads. Where objects overlap, the smaller one is
seen.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from schemas.directories import write_text_atomic
from schemas.errors import CorruptInput
from schemas.layouts import MASK_SUFFIX
from stages.core.datasets.layouts.plain import SENTENCES_FILE
from stages.core.datasets.palette import ANNOTATIONS_FOLDER, MOST_OBJECTS, palette_png
from stages.core.index.masks import Track
from stages.core.media.rle import decode
from stages.tools.export_masks.formats.rows import mask_row
from stages.tools.export_masks.records import ExportVideo, MaskRow


class DavisPalette:
    """A palette PNG per frame."""

    lost = "pixels covered by smaller objects"

    def write_video(
        self, video: ExportVideo, tracks: list[Track], root: Path, labels: list[str]
    ) -> tuple[list[MaskRow], list[Path]]:
        """Write the PNGs of all frames.

        Raises:
            CorruptInput: there are more objects than numbers.
        """
        if len(tracks) > MOST_OBJECTS:
            raise CorruptInput(
                f"{len(tracks)} objects are too many for palette images, which hold {MOST_OBJECTS}",
                where=f"video {video.video_id}",
                hint="use another --format",
            )
        folder = root / ANNOTATIONS_FOLDER / video.video_id
        folder.mkdir(parents=True, exist_ok=True)
        rows, files = [], []
        for frame, name in enumerate(video.frame_names):
            path = folder / f"{name}{MASK_SUFFIX}"
            image, found = _image(video, tracks, frame)
            path.write_bytes(image)
            rows += found
            files.append(path)
        return sorted(rows), files

    def write_whole(
        self,
        videos: list[ExportVideo],
        rows: Iterator[list[MaskRow]],
        root: Path,
        labels: list[str],
    ) -> None:
        """Write expressions.csv: a row per sentence, with the numbers of its objects."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("video_id", "expression_id", "expression", "object_ids"))
        for video in videos:
            about: dict[str, list[str]] = {name: [] for name in video.sentences}
            for number, known in enumerate(video.objects, start=1):
                for name in known.expression_ids:
                    about[name].append(str(number))
            for name, numbers in about.items():
                writer.writerow((video.video_id, name, video.sentences[name], " ".join(numbers)))
        write_text_atomic(root / SENTENCES_FILE, text.getvalue())


def _image(video: ExportVideo, tracks: list[Track], frame: int) -> tuple[bytes, list[MaskRow]]:
    """The palette PNG of a frame, and its masks with the numbers of pixels that others cover."""
    where = f"video {video.video_id}, frame {frame}"
    masks = {
        number: decode(track[frame], where=where).astype(bool)
        for number, track in enumerate(tracks)
        if frame in track
    }
    order = sorted(masks, key=lambda number: -int(masks[number].sum()))
    rows = []
    seen = np.zeros((video.height, video.width), bool)
    for number in reversed(order):
        lost = int((masks[number] & seen).sum())
        rows.append(mask_row(number, frame, tracks[number][frame], lost=lost))
        seen |= masks[number]
    shown = [(number + 1, masks[number]) for number in order]
    return palette_png(shown, (video.height, video.width)), rows


FORMAT = DavisPalette()

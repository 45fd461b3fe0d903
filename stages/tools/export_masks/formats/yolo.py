"""YOLO segmentation: `labels/<video>/<frame>.txt`, a polygon per object, and `data.yaml`.

The format: https://docs.ultralytics.com/datasets/segment. Ultralytics finds a label by replacing
`images` in the path of its image with `labels`, so the frames belong into `images/<video>/`. The
parts of an object are joined by lines there and back, and its holes are filled: a polygon has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_fill_holes
from skimage.measure import find_contours

from schemas.directories import write_text_atomic
from stages.core.index.masks import Track
from stages.core.media.rle import decode
from stages.tools.export_masks.formats.rows import mask_row
from stages.tools.export_masks.records import ExportVideo, MaskRow

_EDGE = 0.5
"""Between background and object, and from the centre of a pixel to its corner."""
_FULLY = "high"
"""Parts that touch at a corner only are one part, as in a mask's outline."""


class Yolo:
    """A file of polygons per frame."""

    lost = "pixels of holes that were filled"

    def write_video(
        self, video: ExportVideo, tracks: list[Track], root: Path, labels: list[str]
    ) -> tuple[list[MaskRow], list[Path]]:
        """Write the polygons of all frames, an empty file where there is no object."""
        category = {label: number for number, label in enumerate(labels)}
        folder = root / "labels" / video.video_id
        folder.mkdir(parents=True, exist_ok=True)
        rows, files = [], []
        for frame, name in enumerate(video.frame_names):
            path, lines = folder / f"{name}.txt", []
            for number, (known, track) in enumerate(zip(video.objects, tracks, strict=True)):
                if frame in track:
                    mask = decode(track[frame], where=path).astype(bool)
                    polygon, filled = mask_polygon(mask)
                    values = " ".join(f"{value:.6g}" for value in polygon.ravel())
                    lines.append(f"{category[known.label]} {values}\n")
                    rows.append(mask_row(number, frame, track[frame], lost=filled))
            path.write_text("".join(lines), encoding="utf-8")
            files.append(path)
        return sorted(rows), files

    def write_whole(
        self,
        videos: list[ExportVideo],
        rows: Iterator[list[MaskRow]],
        root: Path,
        labels: list[str],
    ) -> None:
        """Write data.yaml: the names of the classes, and where images are."""
        names = [f"  {number}: {json.dumps(label)}" for number, label in enumerate(labels)]
        lines = ["path: .", "train: images", "val: images", "names:", *names]
        write_text_atomic(root / "data.yaml", "\n".join(lines) + "\n")


def mask_polygon(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the outline of a mask, and the number of pixels of its holes.

    Args:
        mask: (H, W) bool, not empty.

    Returns:
        the outline, float (N, 2), x and y from 0 to 1; the centres of exactly the mask's pixels and
        its holes' lie in it.
    """
    filled = binary_fill_holes(mask)
    padded = np.pad(filled, 1).astype(np.float32)
    parts = sorted(find_contours(padded, _EDGE, fully_connected=_FULLY), key=len, reverse=True)
    back = [part[:1] for part in reversed(parts[:-1])]  # the way back crosses no pixel's centre
    outline = np.concatenate([*parts, *back]) - 1 + _EDGE  # without padding, from corners
    scale = np.array([mask.shape[1], mask.shape[0]])
    return np.clip(outline[:, ::-1] / scale, 0, 1), int(filled.sum() - mask.sum())


FORMAT = Yolo()

"""Rows of exported masks: box and area of a run length."""

from __future__ import annotations

from pycocotools import mask as coco

from stages.core.index.masks import Track
from stages.core.media.rle import Rle
from stages.tools.export_masks.records import MaskRow


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


def kept_rows(tracks: list[Track]) -> list[MaskRow]:
    """Describe all masks of a video, with the masks themselves."""
    return [
        mask_row(number, frame, rle, keep=True)
        for number, track in enumerate(tracks)
        for frame, rle in sorted(track.items())
    ]

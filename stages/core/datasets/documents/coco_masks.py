"""Segmentations of COCO annotations: outlines or an RLE, checked before pycocotools reads them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pycocotools import mask as coco

from schemas.errors import CorruptInput
from stages.core.datasets.documents.rle_json import read_track
from stages.core.media.rle import Rle, encode

_FEWEST_CORNERS = 3
"""Of an outline with an area; pycocotools would take two corners for a box."""
_STEPS_PER_PIXEL = 4
"""Bound on the length of all outlines together, for which pycocotools reserves memory."""


def read_segmentation(value: object, height: int, width: int, *, where: str) -> Rle:
    """Read the mask of an annotation as a compressed RLE.

    Args:
        value: an RLE, compressed or not, or a list of outlines [x0, y0, x1, y1, ...] in pixels,
            whose union is the mask. Outlines of one or two corners have no area.
        height: of the image; an RLE has its own.
        width: as `height`.

    Raises:
        CorruptInput: neither, or not a sound one.
    """
    if isinstance(value, Mapping):
        (mask,) = read_track([value], where=where)
        assert mask is not None
        return mask
    if not isinstance(value, list):
        raise CorruptInput("the segmentation is neither outlines nor an RLE", where=where)
    outlines = [_outline(item, height, width, where) for item in value]
    outlines = [corners for corners in outlines if len(corners) >= _FEWEST_CORNERS]
    if not outlines:
        return encode(np.zeros((height, width), np.uint8))
    if sum(map(_length, outlines)) > _STEPS_PER_PIXEL * (height + 1) * (width + 1):
        raise CorruptInput("the outlines are too long for their image", where=where)
    flat = [corners.ravel().tolist() for corners in outlines]
    merged = coco.merge(coco.frPyObjects(flat, height, width))
    return Rle(size=[height, width], counts=merged["counts"])


def _outline(item: object, height: int, width: int, where: str) -> np.ndarray:
    """The corners of an outline as (x, y), float64 (corners, 2)."""
    fits = isinstance(item, list) and not len(item) % 2
    if not fits or any(type(number) not in (int, float) for number in item):  # type: ignore[attr-defined]
        raise CorruptInput("an outline is not a list of x and y", where=where)
    try:
        corners = np.array(item, np.float64).reshape(-1, 2)
    except OverflowError:  # a whole number above any float
        corners = np.full((1, 2), np.inf)
    margin = max(height, width)  # some corners lie a little outside
    if not ((corners >= -margin) & (corners <= (width + margin, height + margin))).all():
        raise CorruptInput(f"an outline leaves its image of {width}x{height}", where=where)
    return corners


def _length(corners: np.ndarray) -> float:
    """Length of a closed outline in pixels, diagonal steps counted as one."""
    return float(np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum())

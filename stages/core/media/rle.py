"""Compressed COCO run lengths: encoding, decoding, and checking before any C code reads them."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from pycocotools import mask as coco

from schemas.errors import CorruptInput
from stages.core.media.frames import MAX_PIXELS
from stages.core.media.rle_checks import check_length, run_totals


class Rle(TypedDict):
    """A mask as pycocotools reads it: `size` is [height, width], `counts` compressed."""

    size: list[int]
    counts: bytes


def decode(rle: Rle, *, where: object) -> np.ndarray:
    """A compressed COCO RLE as uint8 (H, W) of 0 and 1.

    Raises:
        CorruptInput: the runs do not fill the frame.
    """
    return coco.decode(checked(rle, where=where))


def checked(rle: Rle, *, where: object) -> Rle:
    """`rle`, if pycocotools can be trusted with it; 0.1 ms for a mask of 1080p.

    Raises:
        CorruptInput: the runs do not fill the frame or are too many, or the frame is absurd.
    """
    height, width = rle["size"]
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise CorruptInput(f"a mask of {height} x {width} pixels", where=where)
    check_length(len(rle["counts"]), height * width, where=where)
    try:
        total = run_totals([rle["counts"]], where=str(where), numbers=[0])[0]
    except CorruptInput as error:
        raise CorruptInput(error.message, where=where) from error  # there is only one mask
    if total != height * width:
        raise CorruptInput(f"the runs do not fill {height} x {width} pixels", where=where)
    return rle


def encode(mask: np.ndarray) -> Rle:
    """A boolean or 0/1 array (H, W) as compressed COCO RLE."""
    return coco.encode(np.asfortranarray(mask, dtype=np.uint8))

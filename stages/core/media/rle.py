"""Compressed COCO run lengths: encoding, and decoding with checks."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from pycocotools import mask as coco

from schemas.errors import CorruptInput
from stages.core.media.frames import MAX_PIXELS
from stages.core.media.rle_checks import check_length, mask_runs


class Rle(TypedDict):
    """A mask as pycocotools reads it: `size` is [height, width], `counts` compressed."""

    size: list[int]
    counts: bytes


def decode(rle: Rle, *, where: object) -> np.ndarray:
    """A compressed COCO RLE as uint8 (H, W) of 0 and 1.

    The check needs the runs anyway. At 1920x1080, check and decoding together take a tenth of the
    time of pycocotools' decoding.

    Raises:
        CorruptInput: the runs do not fill the frame or are too many, or the frame is too large.
    """
    height, width = rle["size"]
    runs = checked_runs(rle, where=where)
    values = np.zeros(len(runs), np.uint8)
    values[1::2] = 1
    return np.repeat(values, runs).reshape(width, height).T  # runs go down the columns


def mask_area(rle: Rle, *, where: object) -> int:
    """Number of pixels of a compressed COCO RLE, checked as :func:`decode` does."""
    return int(checked_runs(rle, where=where)[1::2].sum())


def checked_runs(rle: Rle, *, where: object) -> np.ndarray:
    """The runs in pixels, background first."""
    height, width = rle["size"]
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise CorruptInput(f"a mask cannot have {width}x{height} pixels", where=where)
    check_length(len(rle["counts"]), height * width, where=where)
    runs = mask_runs(rle["counts"], where=where)
    if runs.sum() != height * width:
        raise CorruptInput(f"the runs do not fill {width}x{height} pixels", where=where)
    return runs


def encode(mask: np.ndarray) -> Rle:
    """A boolean or 0/1 array (H, W) as compressed COCO RLE."""
    return coco.encode(np.asfortranarray(mask, dtype=np.uint8))

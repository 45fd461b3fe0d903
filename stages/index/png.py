"""Mask pictures, the form in which predictions travel: one channel, 0 or 255."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

FOREGROUND = 255
FAST_COMPRESSION = 1
"""zlib level: masks are mostly runs, which the fastest level packs nearly as small as others."""


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write a mask as an 8-bit greyscale PNG of 0 and 255; its folder exists.

    Args:
        mask: (H, W), foreground wherever it is not 0.
    """
    if mask.ndim != 2 or 0 in mask.shape:
        raise ValueError(f"a mask has shape {mask.shape}, expected (H, W)")
    pixels = np.where(mask != 0, np.uint8(FOREGROUND), np.uint8(0))
    Image.fromarray(pixels).save(path, "PNG", compress_level=FAST_COMPRESSION)

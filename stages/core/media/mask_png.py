"""Writing masks as PNG: one 8-bit channel, 0 and 255.

There are two encoders, and they are not interchangeable: their files differ in bytes, and artifacts
of both exist.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from stages.core.media.png_checks import PNG_SIGNATURE

FOREGROUND = 255
_LEVEL = 1
"""zlib level: masks are long runs, which the fastest level packs nearly as small as others."""
_DEPTH, _GREYSCALE = 8, 0
_CACHED_SIZES = 64


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write a mask through Pillow, in an existing folder.

    Args:
        mask: (H, W), foreground wherever it is not 0.
    """
    if mask.ndim != 2 or 0 in mask.shape:
        raise ValueError(f"a mask has shape {mask.shape}, expected (H, W)")
    pixels = np.where(mask != 0, np.uint8(FOREGROUND), np.uint8(0))
    Image.fromarray(pixels).save(path, "PNG", compress_level=_LEVEL)


def encode_mask(mask: np.ndarray) -> bytes:
    """Encode a mask as a PNG file, fast: filter 0 on every row, and no work for empty masks.

    Args:
        mask: (H, W) bool.
    """
    if not mask.any():
        return _empty_file(*mask.shape)
    return _file(mask)


@lru_cache(maxsize=_CACHED_SIZES)
def _empty_file(height: int, width: int) -> bytes:
    return _file(np.zeros((height, width), bool))


def _file(mask: np.ndarray) -> bytes:
    height, width = mask.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter, 0
    np.multiply(mask, FOREGROUND, out=rows[:, 1:], casting="unsafe")
    header = struct.pack(">IIBBBBB", width, height, _DEPTH, _GREYSCALE, 0, 0, 0)
    data = zlib.compress(rows.tobytes(), _LEVEL)
    return PNG_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

"""One-channel PNGs of masks, 0 and 255, written for speed.

Filter 0 on every row and the fastest deflate: masks are long runs, which need no better. Format:
the PNG specification, https://www.w3.org/TR/png-3/.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTH, _GREY = 8, 0
_LEVEL = 1
_KNOWN_SIZES = 64


def encode_mask(mask: np.ndarray) -> bytes:
    """The PNG file of a mask.

    Args:
        mask: (H, W) bool.
    """
    if not mask.any():
        return _black(*mask.shape)
    return _file(mask)


@lru_cache(maxsize=_KNOWN_SIZES)
def _black(height: int, width: int) -> bytes:
    """Most masks of many videos are empty: their file is made once a size."""
    return _file(np.zeros((height, width), bool))


def _file(mask: np.ndarray) -> bytes:
    height, width = mask.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter, 0
    np.multiply(mask, 255, out=rows[:, 1:], casting="unsafe")
    header = struct.pack(">IIBBBBB", width, height, _DEPTH, _GREY, 0, 0, 0)
    data = zlib.compress(rows.tobytes(), _LEVEL)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

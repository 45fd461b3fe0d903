"""Packed masks: one bit per pixel.

Each row takes whole bytes; a byte is 8 pixels, the first in its highest bit, as in PNG files of one
bit and in ``numpy.packbits``. Bits behind the last column are 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MaskBits = npt.NDArray[np.uint8]
"""uint8 (H, ceil(W / 8))."""

PIXELS_PER_BYTE = 8
_BYTES_PER_WORD = 8


def pack_mask(mask: np.ndarray) -> MaskBits:
    """Pack a mask, bool (H, W)."""
    return np.packbits(mask, axis=1)


def unpack_mask(bits: MaskBits, width: int) -> np.ndarray:
    """Unpack a mask to bool (H, W)."""
    return np.unpackbits(bits, axis=1, count=width).view(bool)


def empty_bits(height: int, width: int) -> MaskBits:
    """Make a packed mask without foreground."""
    return np.zeros((height, -(-width // PIXELS_PER_BYTE)), np.uint8)


def count_pixels(bits: MaskBits) -> int:
    """Count the pixels of the foreground."""
    flat = np.ascontiguousarray(bits).reshape(-1)
    whole = len(flat) // _BYTES_PER_WORD * _BYTES_PER_WORD
    # Words of 8 bytes are counted several times faster than bytes.
    words = int(np.bitwise_count(flat[:whole].view(np.uint64)).sum())
    return words + int(np.bitwise_count(flat[whole:]).sum())

"""Masks packed into 64-bit words, and the integer counts from which J and F follow.

The definition is that of the DAVIS benchmark (Perazzi et al., "A Benchmark Dataset and Evaluation
Methodology for Video Object Segmentation", sections 5.1 and 5.2), which MeViS uses too: J is
intersection over union, F the harmonic mean of the precision and recall of boundary pixels that
have a boundary pixel of the other mask within a disk. Everything is counted in integers, so equal
masks give equal scores on every machine; docs/scoring.md spells the definition out.

Legend: H, W height and width in pixels; *words* are uint64 (H, ceil(W / 64)), in which bit `b` of
word `k` is the pixel at column 64 k + b. Bits at or behind column W are always 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

WORD = 64
"""Pixels per word."""
_BYTES_PER_WORD = 8
_TOLERANCE = 0.008  # the boundary's tolerance as a share of the image diagonal, DAVIS's value


@dataclass(frozen=True, slots=True)
class PackedMask:
    """A mask of one bit per pixel.

    Attributes:
        words: uint64 (H, ceil(W / 64)).
        width: W.
    """

    words: Words
    width: int

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return len(self.words), self.width

    def __or__(self, other: PackedMask) -> PackedMask:
        """Union with a mask of the same size."""
        return PackedMask(self.words | other.words, self.width)

    def __sub__(self, other: PackedMask) -> PackedMask:
        """Pixels that are not in another mask of the same size."""
        return PackedMask(self.words & ~other.words, self.width)


class Counts(NamedTuple):
    """Pixel counts that determine J and F of one frame.

    Attributes:
        intersection: pixels in both masks.
        predicted_area, true_area: pixels of the prediction and of the ground truth.
        predicted_edge, true_edge: boundary pixels of either.
        precise: boundary pixels of the prediction within reach of the truth's boundary.
        recalled: boundary pixels of the truth within reach of the prediction's boundary.
    """

    intersection: int
    predicted_area: int
    true_area: int
    predicted_edge: int
    true_edge: int
    precise: int
    recalled: int


def pack(mask: np.ndarray) -> PackedMask:
    """Pack a mask (H, W); every value but 0 is foreground."""
    height, width = mask.shape
    packed = np.packbits(mask, axis=1, bitorder="little")  # (H, ceil(W / 8))
    row_bytes = words_in(width) * _BYTES_PER_WORD
    if packed.shape[1] != row_bytes:
        padded = np.zeros((height, row_bytes), np.uint8)
        padded[:, : packed.shape[1]] = packed
        packed = padded
    return PackedMask(np.ascontiguousarray(packed).view("<u8"), width)


def unpack(mask: PackedMask) -> np.ndarray:
    """Unpack a mask to bool (H, W)."""
    row_bytes = np.ascontiguousarray(mask.words).view(np.uint8)
    bits = np.unpackbits(row_bytes, axis=1, bitorder="little")
    return bits[:, : mask.width].astype(bool)


def words_in(width: int) -> int:
    """Return the number of words in a row of `width` pixels."""
    return -(-width // WORD)


def empty_mask(size: tuple[int, int]) -> PackedMask:
    """Make an empty mask of size (H, W)."""
    height, width = size
    return PackedMask(np.zeros((height, words_in(width)), np.uint64), width)


def boundary_radius(height: int, width: int) -> int:
    """Return the radius of the tolerance disk: ceil(0.008 x diagonal) pixels."""
    return math.ceil(_TOLERANCE * math.sqrt(height * height + width * width))

"""Region similarity J and boundary measure F as integer counts, on masks packed into 64-bit rows.

The definition is that of the DAVIS benchmark (Perazzi et al., "A Benchmark Dataset and Evaluation
Methodology for Video Object Segmentation", sections 5.1 and 5.2), which MeViS uses too: J is
intersection over union, F the harmonic mean of the precision and recall of boundary pixels that
have a boundary pixel of the other mask within a disk. Everything is counted in integers, so equal
masks give equal scores on every machine; docs/scoring.md spells the definition out.

Legend: H, W height and width in pixels; a mask's *rows* are uint64 (H, ceil(W / 64)), in which bit
`b` of word `k` is the pixel at column 64 k + b. Bits behind column W are always 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.uint64]

WORD = 64
_BYTES_PER_WORD = 8
_TOLERANCE = 0.008  # the boundary's tolerance as a share of the image diagonal, DAVIS' value


class Counts(NamedTuple):
    """All that J and F of one frame depend on, in pixels.

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

    @property
    def union(self) -> int:
        """Pixels in either mask."""
        return self.predicted_area + self.true_area - self.intersection


def pack(mask: np.ndarray) -> Rows:
    """Rows of a mask (H, W); every value but 0 is foreground."""
    height, width = mask.shape
    packed = np.packbits(mask, axis=1, bitorder="little")  # (H, ceil(W / 8))
    return words_of(packed, height, width)


def words_of(packed: np.ndarray, height: int, width: int) -> Rows:
    """Bytes (H, ceil(W / 8)) of eight pixels, lowest bit first, as rows of words."""
    row_bytes = words_in(width) * _BYTES_PER_WORD
    if packed.shape[1] != row_bytes:
        padded = np.zeros((height, row_bytes), np.uint8)
        padded[:, : packed.shape[1]] = packed
        packed = padded
    return np.ascontiguousarray(packed).view("<u8")


def unpack(rows: Rows, width: int) -> np.ndarray:
    """The mask (H, W) of bool that `rows` holds."""
    bits = np.unpackbits(np.ascontiguousarray(rows).view(np.uint8), axis=1, bitorder="little")
    return bits[:, :width].astype(bool)


def words_in(width: int) -> int:
    """Words that a row of `width` pixels takes."""
    return -(-width // WORD)


def blank(height: int, width: int) -> Rows:
    """The rows of an empty mask."""
    return np.zeros((height, words_in(width)), np.uint64)


def boundary_radius(height: int, width: int) -> int:
    """Radius of the tolerance disk: ceil(0.008 x diagonal) pixels."""
    return math.ceil(_TOLERANCE * math.sqrt(height * height + width * width))


def jaccard(counts: Counts) -> float:
    """J of a frame; 1 where both masks are empty."""
    return counts.intersection / counts.union if counts.union else 1.0


def f_measure(counts: Counts) -> float:
    """F of a frame; 1 where neither mask has a boundary, 0 where only one has."""
    if not counts.predicted_edge and not counts.true_edge:
        return 1.0
    if not counts.predicted_edge or not counts.true_edge:
        return 0.0
    precision = counts.precise / counts.predicted_edge
    recall = counts.recalled / counts.true_edge
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)

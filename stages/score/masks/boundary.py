"""Boundaries, the pixels within reach of them, and the counts of a pair of masks.

Legend and definitions are in :mod:`stages.score.masks.packed_masks`.
"""

from __future__ import annotations

import ctypes
import math
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stages.score.masks.compiled import LOOPS, address
from stages.score.masks.packed_masks import (
    Counts,
    PackedMask,
    Words,
    boundary_radius,
    empty_mask,
    words_in,
)

_outline, _compare = LOOPS["outline"], LOOPS["compare"]
_BANDS = 4
_Outlined, _Compared = ctypes.c_int64 * 2, ctypes.c_int64 * 5  # counts that the loops write


class Outline(NamedTuple):
    """The boundary of a mask.

    A pixel is boundary if it differs from its neighbour to the east, south or south-east. In the
    last row only the eastern neighbour counts, in the last column only the southern one, and the
    corner is never boundary.

    Attributes:
        edge: uint64 (H, words), the boundary.
        reach: uint64 (H, words), the pixels with a boundary pixel within a disk around them; bits
            behind the last column may be set.
        area: number of the mask's pixels.
        length: number of boundary pixels.
    """

    edge: Words
    reach: Words
    area: int
    length: int


@lru_cache(maxsize=64)
def disk_halves(radius: int) -> npt.NDArray[np.int64]:
    """Return half the width of the disk x^2 + y^2 <= radius^2 in each row from its middle on.

    Returns:
        int64 (radius + 1,).
    """
    return np.array([math.isqrt(radius * radius - y * y) for y in range(radius + 1)], np.int64)


@lru_cache(maxsize=4)
def _room(height: int, width: int, radius: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """Make the memory that the loops work in, and their arguments that all masks of a size share.

    A loop keeps the interpreter's lock, so threads may share it.
    """
    words = words_in(width)
    guard = words_in(radius)
    capacity = (height + 2 * (radius + 1)) * (words + guard) + 1
    work = np.zeros(_BANDS * capacity, np.uint64)
    halves = address(disk_halves(radius))
    return work, (height, words, width, halves, radius, address(work), capacity)


def outline(mask: PackedMask, radius: int) -> Outline:
    """Find the boundary of a mask, and the pixels within `radius` (Euclidean, inclusive) of it."""
    words = np.ascontiguousarray(mask.words)
    edge, reach = np.zeros(words.shape, np.uint64), np.zeros(words.shape, np.uint64)
    _, shared = _room(*mask.size, radius)
    counts = _Outlined()
    _outline(address(words), *shared, address(edge), address(reach), counts)
    return Outline(edge, reach, *counts)


class TrueMask:
    """The true mask of one frame, prepared for the comparison with many predictions."""

    def __init__(self, mask: PackedMask):
        self.size = mask.size
        self.radius = boundary_radius(*mask.size)
        self._words = np.ascontiguousarray(mask.words)
        self._outline = outline(mask, self.radius)

    @cached_property
    def missed(self) -> Counts:
        """Counts of an empty prediction."""
        return self.compare(empty_mask(self.size))

    @cached_property
    def _addresses(self) -> tuple[int, int, int]:
        edge, reach = self._outline.edge, self._outline.reach
        return address(self._words), address(edge), address(reach)

    def compare(self, predicted: PackedMask) -> Counts:
        """Count a prediction of the same size.

        Raises:
            ValueError: it has another size.
        """
        if predicted.size != self.size:
            raise ValueError(f"expected a mask of (H, W) {self.size}, got {predicted.size}")
        words = np.ascontiguousarray(predicted.words)
        counts = _Compared()
        _, shared = _room(*self.size, self.radius)
        _compare(address(words), *shared, *self._addresses, counts)
        both, area, length, precise, recalled = counts
        true = self._outline
        return Counts(both, area, true.area, length, true.length, precise, recalled)

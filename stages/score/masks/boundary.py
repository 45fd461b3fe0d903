"""Boundaries, the pixels within reach of them, and the counts of a pair of masks.

Legend and definitions are in :mod:`stages.score.masks.packed_masks`.
"""

from __future__ import annotations

import math
from functools import cached_property, lru_cache

import numba
import numpy as np
import numpy.typing as npt
from numba import types

from stages.score.masks.compiled import READONLY_INTEGERS, READONLY_WORDS, WORDS, compiled
from stages.score.masks.packed_masks import (
    WORD,
    Counts,
    PackedMask,
    Words,
    boundary_radius,
    empty_mask,
)

_U = np.uint64
_ODD_BITS, _ODD_PAIRS = _U(0x5555555555555555), _U(0x3333333333333333)
_ODD_NIBBLES, _EACH_BYTE = _U(0x0F0F0F0F0F0F0F0F), _U(0x0101010101010101)
_TOP_BYTE = _U(56)
_COUNTS = 7


@compiled(types.void(READONLY_WORDS, types.int64, WORDS))
def _mark_boundary(mask, width, edge):  # type: ignore[no-untyped-def]
    """Mark the boundary of a mask in `edge`; see :func:`boundary`."""
    height, words = mask.shape
    last = words - 1
    corner = _U(1) << _U((width - 1) % WORD)
    for y in range(height):
        here, south, found = mask[y], mask[min(y + 1, height - 1)], edge[y]
        for k in range(last):
            east = (here[k] >> _U(1)) | (here[k + 1] << _U(WORD - 1))
            south_east = (south[k] >> _U(1)) | (south[k + 1] << _U(WORD - 1))
            found[k] = (here[k] ^ east) | (here[k] ^ south[k]) | (here[k] ^ south_east)
        beside = (here[last] ^ (here[last] >> _U(1))) | (here[last] ^ (south[last] >> _U(1)))
        found[last] = (here[last] ^ south[last]) | (beside & (corner - _U(1)))


@numba.njit
def _bounds(mask):  # type: ignore[no-untyped-def]
    """Return top, bottom, first and last (both exclusive) of the rows and words that are not 0."""
    height, words = mask.shape
    columns = np.zeros(words, np.uint64)
    top, bottom = height, 0
    for y in range(height):
        found = _U(0)
        for k in range(words):
            found |= mask[y, k]
            columns[k] |= mask[y, k]
        if found:
            top, bottom = min(top, y), y + 1
    first, last = 0, words
    while first < last and columns[first] == 0:
        first += 1
    while first < last and columns[last - 1] == 0:
        last -= 1
    return top, bottom, first, last


@numba.njit
def _widen(band, step, wider):  # type: ignore[no-untyped-def]
    """Set the pixels `step` columns to either side of each pixel; the words at both ends stay."""
    back = _U(WORD) - step
    before, here, after, found = band[:-2], band[1:-1], band[2:], wider[1:-1]
    for k in range(found.size):
        right = (here[k] << step) | (before[k] >> back)
        left = (here[k] >> step) | (after[k] << back)
        found[k] = here[k] | right | left


@numba.njit
def _spread(band, stride, taller):  # type: ignore[no-untyped-def]
    """Set the pixels above and below each pixel; the rows at both ends stay."""
    above, here, below = band[: -2 * stride], band[stride:-stride], band[2 * stride :]
    found = taller[stride:-stride]
    for k in range(found.size):
        found[k] = above[k] | here[k] | below[k]


@compiled(types.void(READONLY_WORDS, READONLY_INTEGERS, WORDS))
def _dilate(edge, halves, reach):  # type: ignore[no-untyped-def]
    """Set the pixels of `reach` within a disk around the pixels of `edge`.

    The disk is a stack of rows that widen from its poles to its middle. So the rows of the edge are
    widened step by step, as much as the disk at each distance from its middle, and everything
    found so far is spread up and down by a row before the next distance is added.

    All of it runs over the words of one flat band: the rows in use, with empty rows around them,
    and after each row empty words that take up what is widened beyond it.

    Args:
        halves: int64 (radius + 1,), half the disk's width at each distance from its middle row.
        reach: zeros.
    """
    height, words = edge.shape
    radius = halves.size - 1
    top, bottom, first, last = _bounds(edge)
    if top >= bottom:
        return
    guard = (radius + WORD - 1) // WORD
    first, last = max(first - guard, 0), min(last + guard, words)
    used, stride, margin = last - first, last - first + guard, radius + 1
    size = (bottom - top + 2 * margin) * stride + 1
    band, wider = np.zeros(size, np.uint64), np.zeros(size, np.uint64)
    found, taller = np.zeros(size, np.uint64), np.zeros(size, np.uint64)
    for y in range(top, bottom):
        start = (y - top + margin) * stride
        for k in range(used):
            band[start + k] = edge[y, first + k]
    width = 0
    for distance in range(radius, -1, -1):
        if distance < radius:
            _spread(found, stride, taller)
            found, taller = taller, found
        while width < halves[distance]:  # no step leaves a gap
            step = min(halves[distance] - width, width + 1, WORD - 1)
            _widen(band, _U(step), wider)
            band, wider = wider, band
            width += step
        for k in range(size):
            found[k] |= band[k]
    for y in range(max(top - radius, 0), min(bottom + radius, height)):
        start = (y - top + margin) * stride
        for k in range(used):
            reach[y, first + k] = found[start + k]


@numba.njit
def _bits(word):  # type: ignore[no-untyped-def]
    """Count the set bits; LLVM knows the pattern and emits the processor's own instruction."""
    word -= (word >> _U(1)) & _ODD_BITS
    word = (word & _ODD_PAIRS) + ((word >> _U(2)) & _ODD_PAIRS)
    word = (word + (word >> _U(4))) & _ODD_NIBBLES
    return (word * _EACH_BYTE) >> _TOP_BYTE


@compiled(types.UniTuple(types.int64, _COUNTS)(*[READONLY_WORDS] * 6))
def _count(predicted, true, edge, true_edge, reach, true_reach):  # type: ignore[no-untyped-def]
    """Take the seven counts of :class:`stages.score.masks.packed_masks.Counts`.

    Args:
        edge, true_edge: boundaries of both masks.
        reach, true_reach: pixels within reach of the boundaries.
    """
    both = area = true_area = length = true_length = precise = recalled = _U(0)
    mask, wanted = predicted.reshape(-1), true.reshape(-1)
    border, wanted_border = edge.reshape(-1), true_edge.reshape(-1)
    near, wanted_near = reach.reshape(-1), true_reach.reshape(-1)
    for k in range(mask.size):
        both += _bits(mask[k] & wanted[k])
        area += _bits(mask[k])
        true_area += _bits(wanted[k])
        length += _bits(border[k])
        true_length += _bits(wanted_border[k])
        precise += _bits(border[k] & wanted_near[k])
        recalled += _bits(wanted_border[k] & near[k])
    return (
        np.int64(both),
        np.int64(area),
        np.int64(true_area),
        np.int64(length),
        np.int64(true_length),
        np.int64(precise),
        np.int64(recalled),
    )


@lru_cache(maxsize=64)
def _disk_halves(radius: int) -> npt.NDArray[np.int64]:
    """Return half the width of the disk x^2 + y^2 <= radius^2 in each row from its middle on.

    Returns:
        int64 (radius + 1,).
    """
    return np.array([math.isqrt(radius * radius - y * y) for y in range(radius + 1)], np.int64)


def boundary(words: Words, width: int) -> Words:
    """Return the pixels that differ from their neighbour to the east, south or south-east.

    In the last row only the eastern neighbour counts, in the last column only the southern one,
    and the corner is never boundary.
    """
    edge = np.empty(words.shape, np.uint64)
    _mark_boundary(words, width, edge)
    return edge


def dilate(words: Words, radius: int) -> Words:
    """Return the pixels within `radius` (Euclidean, inclusive) of a foreground pixel.

    Bits behind the last column may be set in the result.
    """
    reach = np.zeros(words.shape, np.uint64)
    _dilate(words, _disk_halves(radius), reach)
    return reach


class TrueMask:
    """The true mask of one frame, prepared for the comparison with many predictions."""

    def __init__(self, mask: PackedMask):
        self.size = mask.size
        self.radius = boundary_radius(*mask.size)
        self._words = np.ascontiguousarray(mask.words)
        self._edge = boundary(self._words, mask.width)
        self._reach = dilate(self._edge, self.radius)

    @cached_property
    def missed(self) -> Counts:
        """Counts of an empty prediction."""
        return self.compare(empty_mask(self.size))

    def compare(self, predicted: PackedMask) -> Counts:
        """Count a prediction of the same size.

        Raises:
            ValueError: it has another size.
        """
        if predicted.size != self.size:
            raise ValueError(f"expected a mask of (H, W) {self.size}, got {predicted.size}")
        words = np.ascontiguousarray(predicted.words)
        edge = boundary(words, predicted.width)
        reach = dilate(edge, self.radius)
        return Counts(*_count(words, self._words, edge, self._edge, reach, self._reach))

"""Boundaries, what is near them, and the counts of a pair of masks.

The legend is that of :mod:`stages.score.masks.packed_masks`, which says what is counted and why.
"""

from __future__ import annotations

import math
from functools import cached_property, lru_cache

import numba
import numpy as np
import numpy.typing as npt
from numba import types

from stages.score.masks.compiled import ROWS, SEEN_NUMBERS, SEEN_ROWS, compiled
from stages.score.masks.packed_masks import Counts, Rows, boundary_radius

_U = np.uint64
_WORD = 64
_ODD_BITS, _ODD_PAIRS = _U(0x5555555555555555), _U(0x3333333333333333)
_ODD_NIBBLES, _EACH_BYTE = _U(0x0F0F0F0F0F0F0F0F), _U(0x0101010101010101)
_TOP_BYTE = _U(56)
_COUNTS = 7


@compiled(types.void(SEEN_ROWS, types.int64, ROWS))
def _mark_boundary(rows, width, edge):  # type: ignore[no-untyped-def]
    """Pixels that differ from their neighbour to the east, south or south-east.

    In the last row only the eastern neighbour counts, in the last column only the southern one,
    and the corner is never boundary.

    Args:
        edge: written.
    """
    height, words = rows.shape
    last = words - 1
    corner = _U(1) << _U((width - 1) % _WORD)
    for y in range(height):
        here, south, found = rows[y], rows[min(y + 1, height - 1)], edge[y]
        for k in range(last):
            east = (here[k] >> _U(1)) | (here[k + 1] << _U(_WORD - 1))
            south_east = (south[k] >> _U(1)) | (south[k + 1] << _U(_WORD - 1))
            found[k] = (here[k] ^ east) | (here[k] ^ south[k]) | (here[k] ^ south_east)
        beside = (here[last] ^ (here[last] >> _U(1))) | (here[last] ^ (south[last] >> _U(1)))
        found[last] = (here[last] ^ south[last]) | (beside & (corner - _U(1)))


@numba.njit
def _used(row):  # type: ignore[no-untyped-def]
    """First and last (exclusive) word of a row that is not 0; equal where there is none."""
    first, last = 0, row.size
    while first < last and row[first] == 0:
        first += 1
    while first < last and row[last - 1] == 0:
        last -= 1
    return first, last


@numba.njit
def _widen(row, step):  # type: ignore[no-untyped-def]
    """Each pixel of a row and those `step` columns to either side of it."""
    back = _U(_WORD) - step
    before = _U(0)
    for k in range(row.size):
        here = row[k]
        after = row[k + 1] if k + 1 < row.size else _U(0)
        right = (here << step) | (before >> back)
        left = (here >> step) | (after << back)
        row[k] = here | right | left
        before = here


@numba.njit
def _add(row, to):  # type: ignore[no-untyped-def]
    for k in range(row.size):
        to[k] |= row[k]


@compiled(types.void(SEEN_ROWS, SEEN_NUMBERS, ROWS))
def _spread(edge, halves, reach):  # type: ignore[no-untyped-def]
    """Pixels within a disk around the pixels of `edge`.

    A row is spread sideways by ever more pixels, as the disk is from its poles to its middle, and
    added to the rows at that distance above and below.

    Args:
        halves: int64 (radius + 1,), half the disk's width at each distance from its middle row.
        reach: zeros; written.
    """
    height, words = edge.shape
    radius = halves.size - 1
    spare = (radius + _WORD - 1) // _WORD
    line = np.empty(words, np.uint64)
    for y in range(height):
        first, last = _used(edge[y])
        if first == last:
            continue
        first, last = max(first - spare, 0), min(last + spare, words)
        row = line[first:last]
        row[:] = edge[y, first:last]
        width = 0
        for distance in range(radius, -1, -1):
            while width < halves[distance]:  # no step leaves a gap, or depends on what lies outside
                step = min(halves[distance] - width, width + 1, _WORD - 1)
                _widen(row, _U(step))
                width += step
            if y >= distance:
                _add(row, reach[y - distance, first:last])
            if y + distance < height:
                _add(row, reach[y + distance, first:last])


@numba.njit
def _bits(word):  # type: ignore[no-untyped-def]
    """How many bits are set; LLVM knows the pattern and takes the machine's own instruction."""
    word -= (word >> _U(1)) & _ODD_BITS
    word = (word & _ODD_PAIRS) + ((word >> _U(2)) & _ODD_PAIRS)
    word = (word + (word >> _U(4))) & _ODD_NIBBLES
    return (word * _EACH_BYTE) >> _TOP_BYTE


@compiled(types.UniTuple(types.int64, _COUNTS)(*[SEEN_ROWS] * 6))
def _count(predicted, true, edge, true_edge, reach, true_reach):  # type: ignore[no-untyped-def]
    """The seven counts of :class:`stages.score.masks.packed_masks.Counts`.

    Args:
        edge, true_edge: the boundaries of both masks.
        reach, true_reach: what is near them.
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
    """Half the width of the disk x^2 + y^2 <= radius^2 at the distances 0 to `radius` from its
    middle row, int64 (radius + 1,).
    """
    return np.array([math.isqrt(radius * radius - y * y) for y in range(radius + 1)], np.int64)


def boundary(rows: Rows, width: int) -> Rows:
    """Pixels that differ from their neighbour to the east, south or south-east.

    In the last row only the eastern neighbour counts, in the last column only the southern one,
    and the corner is never boundary.
    """
    edge = np.empty(rows.shape, np.uint64)
    _mark_boundary(rows, width, edge)
    return edge


def dilate(rows: Rows, radius: int) -> Rows:
    """Pixels within `radius` (Euclidean, inclusive) of a foreground pixel.

    Bits behind the last column may be set in the result.
    """
    reach = np.zeros(rows.shape, np.uint64)
    _spread(rows, _disk_halves(radius), reach)
    return reach


class Target:
    """The ground truth of one frame, made ready to be compared with many predictions.

    Args:
        rows: the true mask.
        width: W of the frame.
    """

    def __init__(self, rows: Rows, width: int):
        self.rows = np.ascontiguousarray(rows)
        self.width = width
        self.radius = boundary_radius(rows.shape[0], width)
        self._edge = boundary(self.rows, width)
        self._reach = dilate(self._edge, self.radius)

    @cached_property
    def unanswered(self) -> Counts:
        """The counts of a prediction that is not there."""
        return self.compare(np.zeros_like(self.rows))

    def compare(self, rows: Rows) -> Counts:
        """The counts of a prediction with the same shape as the truth."""
        if rows.shape != self.rows.shape:
            raise ValueError(f"expected rows {self.rows.shape}, got {rows.shape}")
        rows = np.ascontiguousarray(rows)
        edge = boundary(rows, self.width)
        reach = dilate(edge, self.radius)
        return Counts(*_count(rows, self.rows, edge, self._edge, reach, self._reach))

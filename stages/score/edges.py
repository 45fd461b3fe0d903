"""Boundaries, what is near them, and the counts of a pair of masks: the loops over words.

The legend is that of :mod:`stages.score.regions`, which says what is counted and why.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import types

from stages.score.compiled import ROWS, SEEN_NUMBERS, SEEN_ROWS, compiled

_U = np.uint64
_WORD = 64
_ODD_BITS, _ODD_PAIRS = _U(0x5555555555555555), _U(0x3333333333333333)
_ODD_NIBBLES, _EACH_BYTE = _U(0x0F0F0F0F0F0F0F0F), _U(0x0101010101010101)
_TOP_BYTE = _U(56)
_COUNTS = 7


@compiled(types.void(SEEN_ROWS, types.int64, ROWS))
def mark_boundary(rows, width, edge):  # type: ignore[no-untyped-def]
    """Pixels that differ from their neighbour to the east, south or south-east.

    In the last row only the eastern neighbour counts, in the last column only the southern one,
    and the corner is never boundary.

    Args:
        edge: written.
    """
    height, words = rows.shape
    last_column = _U(1) << _U((width - 1) % _WORD)
    for y in range(height):
        here, south = rows[y], rows[min(y + 1, height - 1)]
        for k in range(words):
            east, south_east = here[k] >> _U(1), south[k] >> _U(1)
            if k + 1 < words:
                east |= here[k + 1] << _U(_WORD - 1)
                south_east |= south[k + 1] << _U(_WORD - 1)
            below = here[k] ^ south[k]
            beside = (here[k] ^ east) | (here[k] ^ south_east)
            if k + 1 == words:
                beside &= last_column - _U(1)
                below &= last_column | (last_column - _U(1))
            edge[y, k] = below | beside


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
def spread(edge, halves, reach):  # type: ignore[no-untyped-def]
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
    for y in range(height):
        first, last = _used(edge[y])
        if first == last:
            continue
        first, last = max(first - spare, 0), min(last + spare, words)
        row = edge[y, first:last].copy()
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
def count(predicted, true, edge, true_edge, reach, true_reach):  # type: ignore[no-untyped-def]
    """The seven counts of :class:`stages.score.regions.Counts`.

    Args:
        edge, true_edge: the boundaries of both masks.
        reach, true_reach: what is near them.
    """
    both = area = true_area = length = true_length = precise = recalled = _U(0)
    for y in range(predicted.shape[0]):
        for k in range(predicted.shape[1]):
            mask, wanted = predicted[y, k], true[y, k]
            border, wanted_border = edge[y, k], true_edge[y, k]
            if mask | wanted:
                both += _bits(mask & wanted)
                area += _bits(mask)
                true_area += _bits(wanted)
            if border | wanted_border:
                length += _bits(border)
                true_length += _bits(wanted_border)
                precise += _bits(border & true_reach[y, k])
                recalled += _bits(wanted_border & reach[y, k])
    return (
        np.int64(both),
        np.int64(area),
        np.int64(true_area),
        np.int64(length),
        np.int64(true_length),
        np.int64(precise),
        np.int64(recalled),
    )

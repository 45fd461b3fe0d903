"""Loops over boundaries, the pixels within reach of them, and the counts of a pair of masks.

Legend and definitions are in :mod:`stages.score.masks.packed_masks`.

The boundary and what is found around it are kept in flat *bands*: the rows in use, with empty rows
around them, and after each row empty words that take up what is widened beyond it. So every step
is one loop over a few thousand words, whatever the size of the frame.
"""

from __future__ import annotations

import numpy as np
from numba import carray

from stages.score.masks.loops.signatures import INTEGER, INTEGERS, WORDS, helper, loop

_U = np.uint64
_WORD = 64
_ODD_BITS, _ODD_PAIRS = _U(0x5555555555555555), _U(0x3333333333333333)
_ODD_NIBBLES, _EACH_BYTE = _U(0x0F0F0F0F0F0F0F0F), _U(0x0101010101010101)
_TOP_BYTE = _U(56)
_BANDS = 4


@helper
def _bits(word):  # type: ignore[no-untyped-def]
    """Count the set bits; LLVM knows the pattern and emits the processor's own instruction."""
    word -= (word >> _U(1)) & _ODD_BITS
    word = (word & _ODD_PAIRS) + ((word >> _U(2)) & _ODD_PAIRS)
    word = (word + (word >> _U(4))) & _ODD_NIBBLES
    return (word * _EACH_BYTE) >> _TOP_BYTE


@helper
def _copy(source, target):  # type: ignore[no-untyped-def]
    """Copy the words of a band or a row."""
    for k in range(target.size):
        target[k] = source[k]


@helper
def _bounds(mask):  # type: ignore[no-untyped-def]
    """Return top, bottom, first and last (both exclusive) of the rows and words that are not 0."""
    height, words = mask.shape
    top, bottom = height, 0
    for y in range(height):
        found = _U(0)
        for k in range(words):
            found |= mask[y, k]
        if found:
            top, bottom = min(top, y), y + 1
    first, last = words, 0
    for y in range(top, bottom):
        k = 0
        while k < first and mask[y, k] == 0:
            k += 1
        first = min(first, k)
        k = words
        while k > last and mask[y, k - 1] == 0:
            k -= 1
        last = max(last, k)
    return top, bottom, first, last


@helper
def _mark_boundary(mask, width, top, bottom, first, last, band, stride):  # type: ignore[no-untyped-def]
    """Mark the boundary of the rows from `top` and the words from `first` on in a band.

    A pixel is boundary if it differs from its neighbour to the east, south or south-east. In the
    last row only the eastern neighbour counts, in the last column only the southern one, and the
    corner is never boundary.

    Args:
        band: uint64 (words,), from the first word of the first row on, written.
        stride: words from a row of it to the next.
    """
    height, words = mask.shape
    corner = _U(1) << _U((width - 1) % _WORD)
    inner = min(last, words - 1)
    for y in range(top, bottom):
        below = min(y + 1, height - 1)
        here, beside = mask[y, first:inner], mask[y, first + 1 : inner + 1]
        south, south_beside = mask[below, first:inner], mask[below, first + 1 : inner + 1]
        found = band[(y - top) * stride :]
        for k in range(here.size):
            east = (here[k] >> _U(1)) | (beside[k] << _U(_WORD - 1))
            south_east = (south[k] >> _U(1)) | (south_beside[k] << _U(_WORD - 1))
            found[k] = (here[k] ^ east) | (here[k] ^ south[k]) | (here[k] ^ south_east)
        if last == words:
            at, under = mask[y, words - 1], mask[below, words - 1]
            differ = (at ^ (at >> _U(1))) | (at ^ (under >> _U(1)))
            found[inner - first] = (at ^ under) | (differ & (corner - _U(1)))


@helper
def _widen(band, step, wider):  # type: ignore[no-untyped-def]
    """Set the pixels `step` columns to either side of each pixel; the words at both ends stay."""
    back = _U(_WORD) - step
    before, here, after, found = band[:-2], band[1:-1], band[2:], wider[1:-1]
    for k in range(found.size):
        right = (here[k] << step) | (before[k] >> back)
        left = (here[k] >> step) | (after[k] << back)
        found[k] = here[k] | right | left


@helper
def _spread(band, stride, more, taller):  # type: ignore[no-untyped-def]
    """Set the pixels above and below each pixel, and all of `more`; the rows at both ends stay."""
    above, here, below = band[: -2 * stride], band[stride:-stride], band[2 * stride :]
    added, found = more[stride:-stride], taller[stride:-stride]
    for k in range(found.size):
        found[k] = above[k] | here[k] | below[k] | added[k]


@helper
def _dilate(work, capacity, size, stride, halves):  # type: ignore[no-untyped-def]
    """Find the pixels within a disk around the pixels of a band.

    The disk is a stack of rows that widen from its poles to its middle. So the rows of the edge are
    widened step by step, as much as the disk at each distance from its middle, and everything
    found so far is spread up and down by a row before the next distance is added.

    Args:
        work: uint64 (4 x capacity,), bands of which only `size` words are used; the first is given,
            all are overwritten.
        halves: int64 (radius + 1,), half the disk's width at each distance from its middle row.

    Returns:
        the position in `work` at which the band with the result begins.
    """
    wide, wider, found, taller = 0, capacity, 2 * capacity, 3 * capacity
    work[wider] = work[wider + size - 1] = _U(0)
    work[taller : taller + stride] = _U(0)
    work[taller + size - stride : taller + size] = _U(0)
    _copy(work[:size], work[found : found + size])
    width = 0
    for distance in range(halves.size - 2, -1, -1):
        while width < halves[distance]:  # no step leaves a gap
            step = min(halves[distance] - width, width + 1, _WORD - 1)
            _widen(work[wide : wide + size], _U(step), work[wider : wider + size])
            wide, wider = wider, wide
            width += step
        more, more_found = work[wide : wide + size], work[found : found + size]
        _spread(more_found, stride, more, work[taller : taller + size])
        found, taller = taller, found
    return found


@helper
def _layout(mask, radius):  # type: ignore[no-untyped-def]
    """Lay out the band of a mask that is not empty.

    Returns:
        top, bottom, first and last: of the rows and words that may hold a boundary.
        left, right: first word of a row of the band, and the one after the last.
        stride: words from a row of the band to the next.
        size: words of the band.
    """
    words = mask.shape[1]
    top, bottom, first, last = _bounds(mask)
    top, first = max(top - 1, 0), max(first - 1, 0)
    guard = (radius + _WORD - 1) // _WORD
    left, right = max(first - guard, 0), min(last + guard, words)
    stride = right - left + guard
    size = (bottom - top + 2 * (radius + 1)) * stride + 1
    return top, bottom, first, last, left, right, stride, size


@loop(
    *[WORDS, INTEGER, INTEGER, INTEGER],
    *[INTEGERS, INTEGER],
    *[WORDS, INTEGER],
    *[WORDS] * 2,
    INTEGERS,
)
def outline(  # type: ignore[no-untyped-def]
    mask_at,
    height,
    words,
    width,
    halves_at,
    radius,
    work_at,
    capacity,
    edge_at,
    reach_at,
    counts_at,
):
    """Write the boundary of a mask, and the pixels within reach of it.

    Args:
        mask_at: uint64 (height, words).
        halves_at: int64 (radius + 1,), half the disk's width at each distance from its middle row.
        work_at: uint64 (4 x capacity,), to work in.
        edge_at, reach_at: zeros (height, words), written; bits of the reach behind the last column
            may be set.
        counts_at: int64 (2,), written: pixels of the mask, and of its boundary.
    """
    mask, counts = carray(mask_at, (height, words)), carray(counts_at, (2,))
    top, bottom, first, last, left, right, stride, size = _layout(mask, radius)
    counts[:] = 0
    if top >= bottom:
        return np.int64(0)
    edge, reach = carray(edge_at, (height, words)), carray(reach_at, (height, words))
    work, halves = carray(work_at, (_BANDS * capacity,)), carray(halves_at, (radius + 1,))
    work[:size] = _U(0)
    start = (radius + 1) * stride + first - left
    _mark_boundary(mask, width, top, bottom, first, last, work[start:size], stride)
    area = length = _U(0)
    for y in range(top, bottom):
        border = work[start + (y - top) * stride : size]
        inside, marked = mask[y, first:last], edge[y, first:last]
        for k in range(inside.size):
            marked[k] = border[k]
            area += _bits(inside[k])
            length += _bits(border[k])
    start = _dilate(work, capacity, size, stride, halves) + (radius + 1) * stride
    for y in range(max(top - radius, 0), min(bottom + radius, height)):
        row = start + (y - top) * stride
        _copy(work[row:], reach[y, left:right])
    counts[0], counts[1] = area, length
    return np.int64(0)


@loop(
    *[WORDS, INTEGER, INTEGER, INTEGER],
    *[INTEGERS, INTEGER],
    *[WORDS, INTEGER],
    *[WORDS] * 3,
    INTEGERS,
)
def compare(  # type: ignore[no-untyped-def]
    mask_at,
    height,
    words,
    width,
    halves_at,
    radius,
    work_at,
    capacity,
    true_at,
    true_edge_at,
    true_reach_at,
    counts_at,
):
    """Count a prediction against the truth.

    Args:
        mask_at ... capacity: see :func:`outline`.
        true_at, true_edge_at, true_reach_at: uint64 (height, words), the true mask, its boundary
            and the pixels within reach of it.
        counts_at: int64 (5,), written: pixels in both masks, of the prediction, of its boundary,
            of that within reach of the true boundary, and of the true boundary within reach of it.
    """
    mask, counts = carray(mask_at, (height, words)), carray(counts_at, (5,))
    top, bottom, first, last, left, right, stride, size = _layout(mask, radius)
    counts[:] = 0
    if top >= bottom:
        return np.int64(0)
    true = carray(true_at, (height, words))
    true_edge, true_reach = carray(true_edge_at, mask.shape), carray(true_reach_at, mask.shape)
    work, halves = carray(work_at, (_BANDS * capacity,)), carray(halves_at, (radius + 1,))
    work[:size] = _U(0)
    start = (radius + 1) * stride + first - left
    _mark_boundary(mask, width, top, bottom, first, last, work[start:size], stride)
    both = area = length = precise = recalled = _U(0)
    for y in range(top, bottom):
        border = work[start + (y - top) * stride : size]
        inside, wanted, near = mask[y, first:last], true[y, first:last], true_reach[y, first:last]
        for k in range(inside.size):
            both += _bits(inside[k] & wanted[k])
            area += _bits(inside[k])
            length += _bits(border[k])
            precise += _bits(border[k] & near[k])
    start = _dilate(work, capacity, size, stride, halves) + (radius + 1) * stride
    for y in range(max(top - radius, 0), min(bottom + radius, height)):
        row = start + (y - top) * stride
        near, wanted_border = work[row : row + right - left], true_edge[y, left:right]
        for k in range(near.size):
            recalled += _bits(near[k] & wanted_border[k])
    counts[0], counts[1], counts[2] = both, area, length
    counts[3], counts[4] = precise, recalled
    return np.int64(0)

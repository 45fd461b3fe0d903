"""Loops over COCO run lengths: decompressing them, and filling the rows of a packed mask.

Runs go down the columns, background first.
"""

from __future__ import annotations

import numpy as np
from numba import carray

from stages.score.masks.loops.signatures import BYTES, INTEGER, INTEGERS, WORDS, helper, loop

_U = np.uint64
_WORD = 64
_OFFSET = 48  # compressed runs are characters from "0" on, five bits in each
_PAYLOAD = 0x1F
_PAYLOAD_BITS = 5
_MORE = 0x20
_SIGN = 0x10
_HIGHEST = 0x3F
_MOST_BITS = 7 * _PAYLOAD_BITS  # of a number; they hold any pixel count that fits in memory
_ABSOLUTE = 3  # the first runs are stored as they are, later ones less the run two before


@helper
def _decompress(codes, lengths):  # type: ignore[no-untyped-def]
    """Decompress run lengths of COCO.

    Args:
        codes: uint8 (N,), the characters.
        lengths: int64 (N,); the first ones are written.

    Returns:
        number of runs; -1 if the characters are not compressed run lengths.
    """
    found, number, bits = np.int64(0), np.int64(0), 0
    for character in codes:
        code = np.int64(character) - _OFFSET
        if code < 0 or code > _HIGHEST or bits == _MOST_BITS:
            return np.int64(-1)
        number |= (code & _PAYLOAD) << bits
        bits += _PAYLOAD_BITS
        if code & _MORE:
            continue
        if code & _SIGN:
            number -= np.int64(1) << bits
        lengths[found] = number + (lengths[found - 2] if found >= _ABSOLUTE else 0)
        found, number, bits = found + 1, np.int64(0), 0
    return np.int64(-1) if bits else found


@helper
def _fills(lengths, pixels):  # type: ignore[no-untyped-def]
    """Return whether run lengths fill a number of pixels, none of them absurd.

    Each run is checked too: the sum of absurd ones can wrap around to the right number.
    """
    total = np.int64(0)
    for length in lengths:
        if length < 0 or length > pixels:
            return False
        total += length
    return total == pixels


@helper
def _fill(lengths, height, width, rows):  # type: ignore[no-untyped-def]
    """Fill the rows of a mask; returns whether the runs fill it.

    A pixel's value is the parity of the run starts at or before it. So each start flips one bit,
    a column flips at its top if the one before it ends inside a run, and the bits are summed down
    each column by exclusive or.

    Args:
        lengths: int64 (N,).
        rows: uint64 (height, words), zeros; written.
    """
    if not _fills(lengths, height * width):
        return False
    start, column, inside = np.int64(0), np.int64(0), False
    for length in lengths:
        start += length
        while (column + 1) * height <= start:
            column += 1
            if inside and column < width:
                rows[0, column // _WORD] ^= _U(1) << _U(column % _WORD)
        if column < width:
            rows[start - column * height, column // _WORD] ^= _U(1) << _U(column % _WORD)
        inside = not inside
    for y in range(1, height):
        above, row = rows[y - 1], rows[y]
        for k in range(row.size):
            row[k] ^= above[k]
    return True


@loop(INTEGERS, INTEGER, INTEGER, INTEGER, WORDS)
def fill_runs(lengths_at, count, height, width, rows_at):  # type: ignore[no-untyped-def]
    """Fill the rows of a mask.

    Args:
        lengths_at: int64 (count,).
        rows_at: uint64 (height, words), zeros; written.

    Returns:
        1; 0 if the runs do not fill the mask.
    """
    rows = carray(rows_at, (height, (width + _WORD - 1) // _WORD))
    return np.int64(_fill(carray(lengths_at, (count,)), height, width, rows))


@loop(BYTES, INTEGER, INTEGERS, INTEGER, INTEGER, WORDS)
def decompress_and_fill(codes_at, count, lengths_at, height, width, rows_at):  # type: ignore[no-untyped-def]
    """Decompress run lengths, and fill the rows of a mask.

    Args:
        codes_at: uint8 (count,), the characters.
        lengths_at: int64 (count + 1,), written: the run lengths, and their number at the end.
        rows_at: uint64 (height, words), zeros; written.

    Returns:
        1; 0 if the runs do not fill the mask; -1 if the characters are not compressed run lengths.
    """
    lengths = carray(lengths_at, (count + 1,))
    found = _decompress(carray(codes_at, (count,)), lengths[:count])
    if found < 0:
        return np.int64(-1)
    lengths[count] = found
    rows = carray(rows_at, (height, (width + _WORD - 1) // _WORD))
    return np.int64(_fill(lengths[:found], height, width, rows))

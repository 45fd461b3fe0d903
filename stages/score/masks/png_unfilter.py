"""From the inflated lines of a PNG file to packed rows, in one pass.

For pictures of one byte per pixel in plain order, which nearly all masks are. Lines in which
nothing is set, below lines in which nothing is set, cost a look at their bytes and no more.
Reference: sections 9.2 to 9.4 of the PNG specification, https://www.w3.org/TR/png-3/.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import types

from stages.score.masks.compiled import ROWS, SEEN_BYTES, SEEN_FLAGS, compiled

_U = np.uint64
_WORD = 64
_BYTE = 8
_ALL = _U(2**_WORD - 1)
_SUB, _UP, _AVERAGE, _PAETH = 1, 2, 3, 4  # 0 is "as it is"
_SEVEN_BITS = _U(0x7F7F7F7F7F7F7F7F)  # of each byte of a word
_GATHER = _U(0x0102040810204080)  # times this, the lowest bits of all bytes meet in the highest
_GATHERED = _U(_WORD - _BYTE)


@numba.njit
def _any(raw, whole, start, stop):  # type: ignore[no-untyped-def]
    """Whether any byte from `start` to `stop` is set; `whole` are the same bytes as words."""
    first, last = (start + _BYTE - 1) // _BYTE, stop // _BYTE
    found = _U(0)
    for word in whole[first:last]:
        found |= word
    for byte in raw[start : min(first * _BYTE, stop)]:
        found |= _U(byte)
    for byte in raw[max(last * _BYTE, start) : stop]:
        found |= _U(byte)
    return found != 0


@numba.njit
def _nearest(left, up, corner):  # type: ignore[no-untyped-def]
    """Paeth's prediction: the neighbour nearest to left + up - corner."""
    to_left, to_up = abs(up - corner), abs(left - corner)
    to_corner = abs(left + up - 2 * corner)
    if to_left <= to_up and to_left <= to_corner:
        return np.uint8(left)
    return np.uint8(up if to_up <= to_corner else corner)


@numba.njit
def _unfilter(kind, coded, above, line):  # type: ignore[no-untyped-def]
    """The samples of a line; see section 9.2 of the PNG specification."""
    left = np.uint8(0)
    if kind == _SUB:
        for x in range(coded.size):
            left = np.uint8(left + coded[x])
            line[x] = left
    elif kind == _UP:
        for x in range(coded.size):
            line[x] = np.uint8(above[x] + coded[x])
    elif kind == _AVERAGE:
        for x in range(coded.size):
            left = np.uint8(((np.int64(left) + np.int64(above[x])) >> 1) + coded[x])
            line[x] = left
    elif kind == _PAETH:
        corner = np.uint8(0)
        for x in range(coded.size):
            if above[x] != corner:
                left = _nearest(np.int64(left), np.int64(above[x]), np.int64(corner))
            left = np.uint8(left + coded[x])
            corner = above[x]
            line[x] = left
    else:
        for x in range(coded.size):
            line[x] = coded[x]


@numba.njit
def _pack(eights, plain, bright, row):  # type: ignore[no-untyped-def]
    """Pack the samples of a line, eight in each of `eights`; returns whether all are 0."""
    held = _U(0)
    for k in range(row.size):
        word = _U(0)
        for part in range(_BYTE):
            samples = eights[k * _BYTE + part]
            held |= samples
            if plain:  # the top bit of each byte that is not 0, moved to its lowest
                some = (((samples & _SEVEN_BITS) + _SEVEN_BITS) | samples) & ~_SEVEN_BITS
                bits = ((some >> _U(_BYTE - 1)) * _GATHER) >> _GATHERED
            else:
                bits = _U(0)
                for place in range(_BYTE):
                    sample = (samples >> _U(_BYTE * place)) & _U(0xFF)
                    bits |= _U(bright[sample]) << _U(place)
            word |= bits << _U(_BYTE * part)
        row[k] = word
    return held == 0


@compiled(types.boolean(SEEN_BYTES, types.int64, SEEN_FLAGS, ROWS))
def decode_lines(raw, width, bright, rows):  # type: ignore[no-untyped-def]
    """Undo the row filters of a picture of one byte per pixel and pack its foreground.

    Args:
        raw: uint8 (H x (1 + W)), the filter of each line and its filtered samples.
        bright: bool (256,), the samples that are foreground.
        rows: written.

    Returns:
        whether all filters are known; else `rows` are not to be used.
    """
    height, words = rows.shape
    whole = raw[: raw.size // _BYTE * _BYTE].view(np.uint64)
    above = np.zeros(words * _WORD, np.uint8)
    line = np.zeros(words * _WORD, np.uint8)
    plain = not bright[0] and bright[1:].all()
    last = _ALL >> _U(words * _WORD - width)
    blank = _ALL if bright[0] else _U(0)
    empty = True  # the line above has only zeros
    for y in range(height):
        start = y * (width + 1)
        kind = raw[start]
        if kind > _PAETH:
            return False
        if empty and not _any(raw, whole, start + 1, start + 1 + width):
            rows[y] = blank
        else:
            _unfilter(kind, raw[start + 1 : start + 1 + width], above, line)
            empty = _pack(line.view(np.uint64), plain, bright, rows[y])
            above, line = line, above
        rows[y, words - 1] &= last
    return True

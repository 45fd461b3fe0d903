"""Unfiltering the rows of a PNG file and packing them, in one pass.

For images of one byte per pixel without interlacing, which nearly all masks are. An empty row below
an empty row costs one pass over its bytes and no more.
Reference: sections 9.2 to 9.4 of the PNG specification, https://www.w3.org/TR/png-3/.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import types

from stages.score.masks.compiled import READONLY_BYTES, READONLY_FLAGS, WORDS, compiled
from stages.score.masks.packed_masks import WORD

_U = np.uint64
_BYTE = 8
_ALL = _U(2**WORD - 1)
_SUB, _UP, _AVERAGE, _PAETH = 1, 2, 3, 4  # 0 is no filter
_EACH = _U(0x0101010101010101)  # a byte times it is a word of eight of that byte
_SEVEN_BITS = _U(0x7F7F7F7F7F7F7F7F)  # of each byte of a word
_GATHER = _U(
    0x0102040810204080
)  # multiplying by it gathers the lowest bits of all bytes in the highest byte
_GATHERED = _U(WORD - _BYTE)


@numba.njit
def _any_set(raw, whole, start, stop):  # type: ignore[no-untyped-def]
    """Return whether any byte is set; `whole` has the bytes of `raw` as words."""
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
def _paeth(left, up, corner):  # type: ignore[no-untyped-def]
    """Return the neighbour nearest to left + up - corner."""
    to_left, to_up = abs(up - corner), abs(left - corner)
    to_corner = abs(left + up - 2 * corner)
    if to_left <= to_up and to_left <= to_corner:
        return np.uint8(left)
    return np.uint8(up if to_up <= to_corner else corner)


@numba.njit
def _unfilter(kind, coded, above, row):  # type: ignore[no-untyped-def]
    """Undo the filter of a row; see section 9.2 of the PNG specification.

    Most bytes of a mask repeat their neighbours, so eight of them that do are written as a word.

    Args:
        coded, above, row: uint8 (a multiple of 8,); the filtered samples, those of the row above,
            and the samples, which are written.
    """
    if kind == _UP:
        for x in range(coded.size):
            row[x] = np.uint8(above[x] + coded[x])
        return
    if kind not in (_SUB, _AVERAGE, _PAETH):
        for x in range(coded.size):
            row[x] = coded[x]
        return
    whole, whole_above, written = coded.view(np.uint64), above.view(np.uint64), row.view(np.uint64)
    left, corner = np.uint8(0), np.uint8(0)
    for k in range(whole.size):
        same = _U(left) * _EACH
        first = k * _BYTE
        if whole[k] == 0:
            if kind == _PAETH:
                repeats = whole_above[k] == _U(corner) * _EACH
            else:
                repeats = kind == _SUB or whole_above[k] == same
            if repeats:
                written[k] = same
                continue
        if kind == _SUB:
            for x in range(first, first + _BYTE):
                left = np.uint8(left + coded[x])
                row[x] = left
        elif kind == _AVERAGE:
            for x in range(first, first + _BYTE):
                left = np.uint8(((np.int64(left) + np.int64(above[x])) >> 1) + coded[x])
                row[x] = left
        else:
            for x in range(first, first + _BYTE):
                if above[x] != corner:
                    left = _paeth(np.int64(left), np.int64(above[x]), np.int64(corner))
                left = np.uint8(left + coded[x])
                corner = above[x]
                row[x] = left


@numba.njit
def _bits(samples, plain, foreground):  # type: ignore[no-untyped-def]
    """Return which of eight samples, the bytes of a word, are foreground: a bit for each."""
    if plain:  # the top bit of each byte that is not 0, moved to its lowest
        nonzero = (((samples & _SEVEN_BITS) + _SEVEN_BITS) | samples) & ~_SEVEN_BITS
        return ((nonzero >> _U(_BYTE - 1)) * _GATHER) >> _GATHERED
    bits = _U(0)
    for byte in range(_BYTE):
        bits |= _U(foreground[(samples >> _U(_BYTE * byte)) & _U(0xFF)]) << _U(byte)
    return bits


@numba.njit
def _pack(eights, plain, foreground, packed):  # type: ignore[no-untyped-def]
    """Pack the samples of a row, eight in each of `eights`; returns whether all are 0.

    Args:
        plain: whether every value but 0 is foreground.
    """
    any_set = _U(0)
    for k in range(packed.size):
        first = eights[k * _BYTE]
        any_set |= first
        differ = _U(0)
        for part in range(1, _BYTE):
            differ |= eights[k * _BYTE + part] ^ first
        word = _bits(first, plain, foreground)
        if differ == 0:  # as nearly everywhere in a mask
            packed[k] = word * _EACH
            continue
        for part in range(1, _BYTE):
            samples = eights[k * _BYTE + part]
            any_set |= samples
            word |= _bits(samples, plain, foreground) << _U(_BYTE * part)
        packed[k] = word
    return any_set == 0


@compiled(types.boolean(READONLY_BYTES, types.int64, READONLY_FLAGS, WORDS))
def unfilter_and_pack(raw, width, foreground, packed):  # type: ignore[no-untyped-def]
    """Undo the row filters of an image of one byte per pixel, and pack its foreground.

    Args:
        raw: uint8 (H x (1 + W)), the filter of each row and its filtered samples.
        foreground: bool (256,), whether each sample value is foreground.
        packed: uint64 (H, words), written.

    Returns:
        whether all filters are known; else `packed` must not be used.
    """
    height, words = packed.shape
    whole = raw[: raw.size // _BYTE * _BYTE].view(np.uint64)
    coded = np.zeros(words * WORD, np.uint8)
    above = np.zeros(words * WORD, np.uint8)
    row = np.zeros(words * WORD, np.uint8)
    plain = not foreground[0] and foreground[1:].all()
    last = _ALL >> _U(words * WORD - width)
    blank = _ALL if foreground[0] else _U(0)
    empty = True  # the row above has only zeros
    for y in range(height):
        start = y * (width + 1)
        kind = raw[start]
        if kind > _PAETH:
            return False
        if empty and not _any_set(raw, whole, start + 1, start + 1 + width):
            packed[y] = blank
        else:
            samples = raw[start + 1 : start + 1 + width]
            for x in range(width):
                coded[x] = samples[x]
            _unfilter(kind, coded, above, row)
            for x in range(width, row.size):
                row[x] = 0
            empty = _pack(row.view(np.uint64), plain, foreground, packed[y])
            above, row = row, above
        packed[y, words - 1] &= last
    return True

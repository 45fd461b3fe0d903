"""Unfiltering the rows of a PNG file and packing them, in one pass.

For images of one byte per pixel without interlacing, which nearly all masks are. The samples of the
row above are changed in place, 64 at a time, the pixels of a word: where the filtered samples say
that nothing changes, neither samples nor word are touched.
Reference: sections 9.2 to 9.4 of the PNG specification, https://www.w3.org/TR/png-3/.
"""

from __future__ import annotations

import numpy as np
from numba import carray

from stages.score.masks.loops.signatures import BYTES, INTEGER, WORDS, helper, loop

_U = np.uint64
_WORD = 64
_BYTE = 8
_VALUES = 256
_ALL = _U(2**_WORD - 1)
_NONE, _SUB, _UP, _AVERAGE, _PAETH = 0, 1, 2, 3, 4
_EACH = _U(0x0101010101010101)  # a byte times it is a word of eight of that byte
_SEVEN_BITS = _U(0x7F7F7F7F7F7F7F7F)  # of each byte of a word
_GATHER = _U(
    0x0102040810204080
)  # multiplying by it gathers the lowest bits of all bytes in the highest byte
_GATHERED = _U(_WORD - _BYTE)
_LAST_BYTE = _U(_WORD - _BYTE)


@helper
def _zeros_until(raw, whole, blocks, start):  # type: ignore[no-untyped-def]
    """Return a position up to which all bytes from `start` on are 0: the first set one, or near it.

    Args:
        whole, blocks: uint64 (words,) and (words // 64, 64), the bytes of `raw` as words.
    """
    stop = min((start + _BYTE - 1) // _BYTE * _BYTE, raw.size)
    for at in range(start, stop):
        if raw[at]:
            return at
    word = (start + _BYTE - 1) // _BYTE
    while word < whole.size and word % _WORD:
        if whole[word]:
            return word * _BYTE
        word += 1
    block = word // _WORD
    if word % _WORD == 0:
        while block < len(blocks):
            found = _U(0)
            for k in range(_WORD):
                found |= blocks[block, k]
            if found:
                break
            block += 1
        word = max(word, block * _WORD)
    while word < whole.size and whole[word] == 0:
        word += 1
    if word < whole.size:
        return word * _BYTE
    for at in range(word * _BYTE, raw.size):
        if raw[at]:
            return at
    return raw.size


@helper
def _copy(source, target):  # type: ignore[no-untyped-def]
    for k in range(target.size):
        target[k] = source[k]


@helper
def _fill(target, value):  # type: ignore[no-untyped-def]
    for k in range(target.size):
        target[k] = value


@helper
def _paeth(left, up, corner):  # type: ignore[no-untyped-def]
    """Return the neighbour nearest to left + up - corner."""
    to_left, to_up = abs(up - corner), abs(left - corner)
    to_corner = abs(left + up - 2 * corner)
    if to_left <= to_up and to_left <= to_corner:
        return np.uint8(left)
    return np.uint8(up if to_up <= to_corner else corner)


@helper
def _unfilter_eight(kind, coded, row, x, left, corner):  # type: ignore[no-untyped-def]
    """Undo the filter of the eight samples from column `x` on.

    Args:
        row: the samples of the row above, overwritten.
        left, corner: the samples left of `x` in this row and in the row above.

    Returns:
        the same for the column after the last.
    """
    for column in range(x, x + _BYTE):
        above = row[column]
        if kind == _SUB:
            left = np.uint8(left + coded[column])
        elif kind == _AVERAGE:
            left = np.uint8(((np.int64(left) + np.int64(above)) >> 1) + coded[column])
        else:
            if above != corner:
                left = _paeth(np.int64(left), np.int64(above), np.int64(corner))
            left = np.uint8(left + coded[column])
        corner = above
        row[column] = left
    return left, corner


@helper
def _unfilter_word(kind, coded, eights, row, eights_above, first, left, corner):  # type: ignore[no-untyped-def]
    """Undo a filter that refers to the left for the 64 samples from column `first` on.

    Most bytes of a mask repeat their neighbours, so eight of them that do are written as a word.

    Args:
        eights, eights_above: the bytes of `coded` and `row` as words.
    """
    for part in range(_BYTE):
        same, above = _U(left) * _EACH, eights_above[part]
        if eights[part] == 0:
            if kind == _PAETH:
                repeats = above == _U(corner) * _EACH
            else:
                repeats = kind == _SUB or above == same
            if repeats:
                corner = np.uint8(above >> _LAST_BYTE)
                eights_above[part] = same
                continue
        left, corner = _unfilter_eight(kind, coded, row, first + part * _BYTE, left, corner)
    return left, corner


@helper
def _bits(samples, plain, foreground):  # type: ignore[no-untyped-def]
    """Return which of eight samples, the bytes of a word, are foreground: a bit for each."""
    if plain:  # the top bit of each byte that is not 0, moved to its lowest
        nonzero = (((samples & _SEVEN_BITS) + _SEVEN_BITS) | samples) & ~_SEVEN_BITS
        return ((nonzero >> _U(_BYTE - 1)) * _GATHER) >> _GATHERED
    bits = _U(0)
    for byte in range(_BYTE):
        bits |= _U(foreground[(samples >> _U(_BYTE * byte)) & _U(0xFF)]) << _U(byte)
    return bits


@helper
def _pack(eights, plain, foreground):  # type: ignore[no-untyped-def]
    """Pack 64 samples, eight in each of `eights`.

    Args:
        plain: whether every value but 0 is foreground.
    """
    differ = _U(0)
    for part in range(1, _BYTE):
        differ |= eights[part] ^ eights[0]
    word = _bits(eights[0], plain, foreground)
    if differ == 0:  # as nearly everywhere in a mask
        return word * _EACH
    for part in range(1, _BYTE):
        word |= _bits(eights[part], plain, foreground) << _U(_BYTE * part)
    return word


@helper
def _unfilter_row(kind, coded, eights, row, samples, plain, foreground, packed):  # type: ignore[no-untyped-def]
    """Undo the filter of a row and pack it.

    Args:
        coded: uint8 (64 words,), the filtered samples.
        row: uint8 (64 words,), the samples of the row above, overwritten.
        eights, samples: uint64 (words, 8), the bytes of `coded` and `row` as words.
        packed: uint64 (words,), the row above packed, overwritten.
    """
    left, corner = np.uint8(0), np.uint8(0)
    for k in range(packed.size):
        changed = _U(0)
        for part in range(_BYTE):
            changed |= eights[k, part]
        if changed == 0 and (kind == _UP or (kind == _PAETH and left == corner)):
            left = corner = row[(k + 1) * _WORD - 1]
            continue
        given, here = eights[k], samples[k]
        if kind == _UP:
            added, bytes_here = coded[k * _WORD :], row[k * _WORD :]
            for x in range(_WORD):
                bytes_here[x] = np.uint8(bytes_here[x] + added[x])
        elif kind == _NONE:
            for part in range(_BYTE):
                here[part] = given[part]
        else:
            left, corner = _unfilter_word(kind, coded, given, row, here, k * _WORD, left, corner)
        packed[k] = _pack(here, plain, foreground)


@loop(*[BYTES, WORDS, INTEGER, INTEGER], *[BYTES, WORDS, BYTES, WORDS])
def unfilter_and_pack(  # type: ignore[no-untyped-def]
    raw_at, whole_at, height, width, foreground_at, packed_at, work_at, eights_at
):
    """Undo the row filters of an image of one byte per pixel, and pack its foreground.

    Args:
        raw_at: uint8 (height x (1 + width),), the filter of each row and its filtered samples.
        whole_at: the same memory as words.
        foreground_at: uint8 (256,), 1 for each sample value that is foreground, else 0.
        packed_at: uint64 (height, words), written.
        work_at: uint8 (2 x 64 words,), to work in.
        eights_at: the same memory as words.

    Returns:
        1 if all filters are known; else 0, and the mask must not be used.
    """
    words = (width + _WORD - 1) // _WORD
    raw = carray(raw_at, (height * (width + 1),))
    whole = carray(whole_at, (raw.size // _BYTE,))
    blocks = carray(whole_at, (whole.size // _WORD, _WORD))
    foreground = carray(foreground_at, (_VALUES,))
    packed, work = carray(packed_at, (height, words)), carray(work_at, (2, words * _WORD))
    eights = carray(eights_at, (2, words, _BYTE))
    coded, row = work[0], work[1]
    _fill(coded, np.uint8(0))
    _fill(row, np.uint8(0))
    plain = foreground[0] == 0 and foreground[1:].all()
    last = _ALL >> _U(words * _WORD - width)
    blank = _ALL if foreground[0] else _U(0)
    zeros = 0  # all bytes before it that are not looked at yet are 0
    empty = True  # the row above has only zeros
    for y in range(height):
        start = y * (width + 1) + 1
        kind = raw[start - 1]
        if kind > _PAETH:
            return np.int64(0)
        if kind == _NONE and zeros <= start:
            zeros = _zeros_until(raw, whole, blocks, start)
        if kind == _NONE and start + width <= zeros:
            if not empty:
                _fill(row, np.uint8(0))
                empty = True
            _fill(packed[y], blank)
        else:
            if y:
                _copy(packed[y - 1], packed[y])
            else:
                _fill(packed[y], blank)
            _copy(raw[start:], coded[:width])
            _unfilter_row(kind, coded, eights[0], row, eights[1], plain, foreground, packed[y])
            _fill(row[width:], np.uint8(0))
            empty = False
        packed[y, words - 1] &= last
    return np.int64(1)

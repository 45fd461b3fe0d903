"""Undoing PNG row filters of two-valued masks on packed bits.

In a mask whose samples are 0 and one value v, a filtered byte is 0, v or 256 - v, and only whether
it is 0 matters: modulo 2, "sub" is an exclusive or with the pixel to the left, "up" one with the
pixel above, and Paeth's predictor copies the pixel above until it meets a step. So a picture is
decoded in packed form, 64 pixels at a time. The result is checked against the exact bytes; files
that are not two-valued, or use the "average" filter, are left to the general decoder.
Filters: the PNG specification, https://www.w3.org/TR/png-3/#9Filters.
"""

from __future__ import annotations

import numpy as np

from stages.score.regions import WORD, Rows, blank, pack

_NONE, _SUB, _UP, _AVERAGE, _PAETH = range(5)
_SLOWEST = 96  # so many Paeth rows cost as much as the general decoder
_BYTE_VALUES = 256


def binary_rows(raw: np.ndarray) -> tuple[Rows, int] | None:
    """Decode a two-valued picture of 8-bit samples.

    Args:
        raw: uint8 (H, 1 + W), the filter type and the filtered samples of each row.

    Returns:
        the rows of the pixels that are not 0, and their value (0 if there is none); None where the
        picture is not two-valued or its filters are not fit for this.
    """
    filters, body = raw[:, 0], raw[:, 1:]
    kinds = np.bincount(filters, minlength=_PAETH + 1)
    if len(kinds) > _PAETH + 1 or kinds[_AVERAGE] or kinds[_PAETH] > _SLOWEST:
        return None
    height, width = body.shape
    result = blank(height, width)
    used = np.flatnonzero(body.any(axis=1))
    if not len(used):
        return result, 0
    top, bottom = int(used[0]), int(used[-1]) + 1
    columns = np.flatnonzero(np.bitwise_or.reduce(body[top:bottom], axis=0))
    left, right = int(columns[0]) // WORD * WORD, int(columns[-1]) + 1
    value = int(body[top, np.flatnonzero(body[top])[0]])
    # Above and to the left of the first byte that is not 0 all pixels are 0, whatever the filter;
    # below and to the right of the last one too, unless the next pixels repeat what is there.
    bottom, right = min(bottom + 1, height), min(right + 1, width)
    rows = _decode_part(body[top:bottom, left:right], filters[top:bottom], value)
    if rows is not None and _reaches_on(rows, right - left, bottom < height, right < width):
        bottom, right = height, width
        rows = _decode_part(body[top:, left:], filters[top:], value)
    if rows is None:
        return None
    first = left // WORD
    result[top:bottom, first : first + rows.shape[1]] = rows
    return result, value


def _reaches_on(rows: Rows, width: int, below: bool, beside: bool) -> bool:
    """Whether a part is foreground at an edge behind which the picture goes on."""
    word, bit = divmod(width - 1, WORD)
    touches = beside and bool((rows[:, word] >> np.uint64(bit)).any())
    return touches or (below and bool(rows[-1].any()))


def _decode_part(body: np.ndarray, filters: np.ndarray, value: int) -> Rows | None:
    """Decode filtered samples (H, W) in which all pixels above and to the left are 0.

    Returns:
        None where the pixels are not all 0 or `value`.
    """
    rising, changed = pack(body == value), pack(body)
    rows = _decode(changed, filters, body.shape[1])
    if 2 * value == _BYTE_VALUES:  # v and 256 - v are the same byte
        return rows if np.array_equal(rising, changed) else None
    falling = pack(body == _BYTE_VALUES - value)
    exact = np.array_equal(rows & changed, rising) and np.array_equal(~rows & changed, falling)
    return rows if exact else None


def _decode(changed: Rows, filters: np.ndarray, width: int) -> Rows:
    """Rows from the bits that are not 0 after filtering; the row above the first is blank."""
    height, words = changed.shape
    # Row 0 stands for the blank row above, row y + 1 for row y.
    ups = np.zeros((height + 1, words), np.uint64)
    np.copyto(ups[1:], changed, where=(filters == _UP)[:, None])
    sums = np.bitwise_xor.accumulate(ups, axis=0)
    start = np.flatnonzero(filters != _UP) + 1  # rows from which runs of "up" go on
    known = np.zeros((height + 1, words), np.uint64)
    plain, sub = np.flatnonzero(filters == _NONE), np.flatnonzero(filters == _SUB)
    known[plain + 1] = changed[plain]
    if len(sub):
        known[sub + 1] = _running_parity(changed[sub], width)
    known[start] ^= sums[start]
    base = np.zeros(height + 1, np.int64)
    base[start] = start
    base = np.maximum.accumulate(base)
    for row in np.flatnonzero(filters == _PAETH) + 1:
        above = known[base[row - 1]] ^ sums[row - 1]
        known[row] = _paeth(changed[row - 1], above, width) ^ sums[row]
    known = known[base]
    known ^= sums
    return known[1:]


def _running_parity(bits: Rows, width: int) -> Rows:
    """Each bit becomes the exclusive or of itself and all bits of lower columns in its row."""
    bits = bits.copy()
    step = 1
    while step < WORD:
        bits ^= bits << np.uint64(step)
        step *= 2
    carry = np.bitwise_xor.accumulate(bits >> np.uint64(WORD - 1), axis=1)
    bits[:, 1:] ^= np.uint64(0) - carry[:, :-1]
    if width % WORD:
        bits[:, -1] &= np.uint64((1 << width % WORD) - 1)
    return bits


def _paeth(changed: Rows, above: Rows, width: int) -> Rows:
    """One row under Paeth's filter.

    With two values the predictor is the pixel above where the left pixel equals its upper
    neighbour, and the left pixel where it does not. So a row equals the one above until a changed
    bit, then differs until the next changed bit or the next step of the row above.
    """
    flags = int.from_bytes(changed.tobytes(), "little")
    upper = int.from_bytes(above.tobytes(), "little")
    steps = (upper ^ upper << 1) & ~1
    ends = (flags ^ steps, flags)  # what turns "differs" off, what turns it on
    difference, differs, rest = 0, False, flags
    everything = (1 << width) - 1
    while rest:
        first = rest & -rest
        difference ^= -first  # all columns from the first on
        differs = not differs
        rest = ends[0 if differs else 1] & everything & -(first << 1)
    row = (upper ^ difference) & everything
    return np.frombuffer(row.to_bytes(above.nbytes, "little"), np.uint64)

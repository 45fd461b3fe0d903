"""COCO run lengths to packed rows, without a detour over one byte per pixel.

Runs go down the columns, background first. A pixel's value is the parity of the run starts at or
before it, so the starts are set as single bits and summed down each column by exclusive or.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas.errors import CorruptInput
from stages.score.regions import Rows, blank, pack

_OFFSET = 48  # compressed runs are written as the characters from "0" on, five bits in each
_PAYLOAD = 0x1F
_PAYLOAD_BITS = 5
_MORE = 0x20
_SIGN = 0x10
_HIGHEST = 0x3F
_LONGEST_NUMBER = 7  # characters; 35 bits hold any pixel count that fits in memory
_ABSOLUTE = 3  # the first runs are written as they are, later ones less the run two before


def decode_runs(
    counts: bytes | str | Sequence[int], height: int, width: int, *, where: object
) -> Rows:
    """The rows of a COCO mask.

    Args:
        counts: compressed, or the plain list of run lengths.
        where: names the mask in errors.

    Raises:
        CorruptInput: not run lengths, or they do not fill height x width pixels.
    """
    if isinstance(counts, str):
        counts = counts.encode("ascii", "replace")
    lengths = _expand(counts, where) if isinstance(counts, bytes) else _plain(counts, where)
    starts = np.cumsum(lengths)
    filled = int(starts[-1]) if len(starts) else 0
    if filled != height * width or (lengths < 0).any():
        raise CorruptInput(
            f"the runs fill {filled} of {height} x {width} = {height * width} pixels", where=where
        )
    return _fill(starts[starts < filled], height, width)


def _plain(counts: Sequence[int], where: object) -> np.ndarray:
    try:
        return np.array(counts, dtype=np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise CorruptInput(f"the mask is not a valid RLE ({error})", where=where) from error


def _expand(counts: bytes, where: object) -> np.ndarray:
    """Run lengths, int64, of a compressed mask."""
    codes = np.frombuffer(counts, np.uint8).astype(np.int64) - _OFFSET
    if not len(codes):
        return codes
    last = (codes & _MORE) == 0
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    sizes = ends - starts + 1
    wrong = codes.min() < 0 or codes.max() > _HIGHEST or not last[-1]
    if wrong or sizes.max() > _LONGEST_NUMBER:
        raise CorruptInput("the mask is not a valid compressed RLE", where=where)
    place = np.arange(len(codes)) - np.repeat(starts, sizes)
    numbers = np.add.reduceat((codes & _PAYLOAD) << (_PAYLOAD_BITS * place), starts)
    negative = (codes[ends] & _SIGN) != 0
    numbers[negative] -= np.int64(1) << (_PAYLOAD_BITS * sizes[negative])
    for chain in (1, _ABSOLUTE - 1):
        numbers[chain::2] = np.cumsum(numbers[chain::2])
    return numbers


def _fill(starts: np.ndarray, height: int, width: int) -> Rows:
    """Rows in which the value changes at each of `starts`, positions down the columns."""
    rows = blank(height, width)
    if not len(starts):
        return rows
    columns, lines = np.divmod(starts, height)
    flat = rows.view(np.uint8).reshape(-1)
    row_bytes = rows.shape[1] * rows.itemsize
    bits = np.left_shift(1, columns & 7, dtype=np.int64).astype(np.uint8)
    np.bitwise_xor.at(flat, lines * row_bytes + (columns >> 3), bits)
    # The value that a column inherits from the end of the one before it.
    inherited = np.searchsorted(starts, np.arange(width) * height, side="left") & 1
    rows[:1] ^= pack(inherited[None, :])
    first, last = int(columns[0]) >> 6, width >> 6
    part = rows[:, first : last + 1]
    np.bitwise_xor.accumulate(part, axis=0, out=part)
    return rows

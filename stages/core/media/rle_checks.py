"""The coding of compressed COCO RLEs, checked before any C code reads them.

pycocotools does not check its input: a number that is cut off, or runs that exceed the frame, make
it read and write beyond its memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from schemas.errors import CorruptInput

_FIRST_CHAR = 48  # "0"; a character holds six bits: five of the number, one to go on
_CODES = 64
_GOES_ON = 0x20
_SIGN = 0x10
_DIGIT = 0x1F
_BITS = 5
_MOST_DIGITS = 7  # 35 bits: a run of _MOST_PIXELS with its sign
MOST_PIXELS = 2**32
MOST_CHARACTERS = 2**23
"""Of one mask; noise at 4096x4096 pixels takes so many, an outline at 16384x16384 a tenth."""
_RUNS_PER_PIXEL = 4  # one would do, but some programs write empty runs between the others
_TOGETHER = 2**20  # characters decoded in one go, at about 60 bytes each


def check_runs(runs: int, pixels: int, *, where: object) -> None:
    """Refuse more runs than any mask of `pixels` pixels has, before they are decoded.

    Raises:
        CorruptInput: there are too many.
    """
    if runs > _RUNS_PER_PIXEL * (pixels + 1):
        raise CorruptInput(f"the RLE has {runs} runs for {pixels} pixels", where=where)


def check_length(characters: int, pixels: int, *, where: object) -> None:
    """As :func:`check_runs`, for the characters of a compressed RLE.

    Raises:
        CorruptInput: there are too many.
    """
    most = min(_MOST_DIGITS * _RUNS_PER_PIXEL * (pixels + 1), MOST_CHARACTERS)
    if characters > most:
        raise CorruptInput(
            f"the RLE has {characters} characters, a mask of {pixels} pixels has at most {most}",
            where=where,
        )


def run_totals(counts: Sequence[bytes], *, where: str, numbers: Sequence[int]) -> np.ndarray:
    """Sum of the runs of each compressed RLE, in pixels, int64 (number of masks,).

    The coding (COCO API, rleToString): little-endian groups of five bits with a sign, and from the
    fourth run on the difference to the run two before. Many masks are decoded in one go, since a
    data set has half a million of them.

    Args:
        numbers: the number of each mask in messages.

    Raises:
        CorruptInput: a character outside the code, a negative run, a number cut off, or more
            characters than ``MOST_CHARACTERS``.
    """
    if not counts:
        return np.zeros(0, dtype=np.int64)
    sizes = np.fromiter(map(len, counts), dtype=np.int64, count=len(counts))
    _refuse(sizes > MOST_CHARACTERS, f"is longer than {MOST_CHARACTERS}", where, numbers)
    group = (np.cumsum(sizes) - sizes) // _TOGETHER
    starts = np.flatnonzero(np.diff(group, prepend=-1)).tolist()
    parts = [
        _totals(counts[start:stop], sizes[start:stop], where, numbers[start:stop])
        for start, stop in itertools.pairwise([*starts, len(counts)])
    ]
    return np.concatenate(parts)


def mask_runs(counts: bytes, *, where: object) -> np.ndarray:
    """The runs of a compressed RLE in pixels, background first, int64; a last one may be 0.

    Raises:
        CorruptInput: as :func:`run_totals`.
    """
    return _sound_runs([counts], np.array([len(counts)]), where, None)[0]


def _totals(
    counts: Sequence[bytes], sizes: np.ndarray, where: object, numbers: Sequence[int]
) -> np.ndarray:
    """As :func:`run_totals`, of masks that are decoded together; `sizes` are their lengths."""
    return np.add.reduceat(*_sound_runs(counts, sizes, where, numbers))


def _sound_runs(
    counts: Sequence[bytes], sizes: np.ndarray, where: object, numbers: Sequence[int] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Runs of all masks in one array, and the index of each mask's first run, checked."""
    stops = np.cumsum(sizes)
    codes = np.frombuffer(b"".join(counts), dtype=np.uint8) - np.uint8(_FIRST_CHAR)
    _refuse(sizes == 0, "has no runs", where, numbers)
    wrong = codes >= _CODES
    if wrong.any():
        _refuse(_any_in(wrong, stops), "has an invalid character", where, numbers)
    last = (codes & _GOES_ON) == 0
    _refuse(~last[stops - 1], "is cut off", where, numbers)
    runs, firsts = _runs(codes, np.flatnonzero(last), stops, where, numbers)
    low = np.minimum.reduceat(runs, firsts)
    high = np.maximum.reduceat(runs, firsts)
    _refuse((low < 0) | (high > MOST_PIXELS), "has a negative or absurd run", where, numbers)
    return runs, firsts


def _runs(
    codes: np.ndarray,
    ends: np.ndarray,
    stops: np.ndarray,
    where: object,
    numbers: Sequence[int] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Runs of all masks in one array, and the index of each mask's first run.

    Args:
        codes: six-bit characters of all masks, uint8.
        ends: positions of the last character of each number.
        stops: one past the last character of each mask.
    """
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    first_run = np.searchsorted(ends, np.concatenate(([0], stops[:-1])))
    long = lengths > _MOST_DIGITS
    if long.any():
        in_mask = _any_in(long, np.append(first_run[1:], len(ends)))
        _refuse(in_mask, "has a number that is too large", where, numbers)
    values = (codes[starts] & _DIGIT).astype(np.int64)
    for digit in range(1, int(lengths.max())):
        more = np.flatnonzero(lengths > digit)
        values[more] |= (codes[starts[more] + digit] & _DIGIT).astype(np.int64) << (_BITS * digit)
    negative = np.flatnonzero(codes[ends] & _SIGN)
    values[negative] -= np.int64(1) << (_BITS * lengths[negative])
    return _undo_differences(values, first_run)


def _undo_differences(values: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs from coded numbers: run[i] = number[i] + run[i - 2] for i > 2, in each mask.

    Args:
        first: where each mask's numbers begin in `values`.

    Returns:
        The runs, each mask filled up with a 0 to an even number of them, and where each begins.
    """
    counts = np.diff(np.append(first, len(values)))
    even = counts + (counts & 1)
    begins = np.cumsum(even) - even
    pairs = np.zeros((int(even.sum()) // 2, 2), dtype=np.int64)  # the chains, even i and odd i
    pairs.reshape(-1)[np.arange(len(values)) + np.repeat(begins - first, counts)] = values
    heads = begins // 2
    zeroth = pairs[heads, 0]  # stands alone: the even chain begins with number[2]
    pairs[heads, 0] = 0
    sums = np.cumsum(pairs, axis=0)
    sums -= np.repeat(sums[heads] - pairs[heads], even // 2, axis=0)
    sums[heads, 0] = zeroth
    runs = sums.reshape(-1)
    runs[(begins + counts)[counts < even]] = 0
    return runs, begins


def _any_in(flags: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """For each part that ends before `stops`, whether a flag is set in it."""
    total = np.concatenate(([0], np.cumsum(flags)))[stops]
    return np.diff(total, prepend=0) > 0


def _refuse(bad: np.ndarray, what: str, where: object, numbers: Sequence[int] | None) -> None:
    """Raise CorruptInput if any mask is bad; `numbers` is None where there is only one."""
    if bad.any():
        mask = "" if numbers is None else f", mask {numbers[int(bad.argmax())]}"
        raise CorruptInput(f"the RLE {what}", where=f"{where}{mask}")

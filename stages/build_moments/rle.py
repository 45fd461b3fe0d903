"""COCO run-length masks from JSON, checked before any C code reads them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pycocotools import mask as coco

from schemas.errors import CorruptInput
from stages.index.masks import Rle

_FIRST_CHAR = 48  # "0"; a character holds six bits: five of the number, one to go on
_LAST_CHAR = _FIRST_CHAR + 63
_GOES_ON = 0x20
_SIGN = 0x10
_DIGIT = 0x1F
_BITS = 5
_MOST_DIGITS = 12
_MOST_PIXELS = 2**32


def read_rle(value: object, *, where: str) -> Rle:
    """A mask of a JSON file, compressed or as a list of runs, as compressed RLE.

    Raises:
        CorruptInput: a field is missing, or the runs do not fill the frame exactly.
    """
    if not isinstance(value, Mapping):
        raise CorruptInput("a mask is neither null nor an RLE", where=where)
    height, width = _size(value.get("size"), where)
    counts = value.get("counts")
    if isinstance(counts, str):
        data = _ascii(counts, where)
    elif isinstance(counts, list):
        return _compress(counts, height, width, where)
    else:
        raise CorruptInput("the RLE has no counts", where=where)
    if run_total(data, where=where) != height * width:
        raise CorruptInput(f"the runs do not fill {height} x {width} pixels", where=where)
    return Rle(size=[height, width], counts=data)


def run_total(counts: bytes, *, where: str) -> int:
    """Sum of the runs of a compressed RLE, in pixels.

    The coding (COCO API, rleToString): little-endian groups of five bits with a sign, and from the
    fourth run on the difference to the run two before.

    Raises:
        CorruptInput: a character outside the code, a negative run, or a number cut off.
    """
    codes = np.frombuffer(counts, dtype=np.uint8).astype(np.int64) - _FIRST_CHAR
    if codes.size == 0 or codes.min() < 0 or codes.max() > _LAST_CHAR - _FIRST_CHAR:
        raise CorruptInput("the RLE holds a character outside its code", where=where)
    ends = np.flatnonzero((codes & _GOES_ON) == 0)
    if ends.size == 0 or ends[-1] != codes.size - 1:
        raise CorruptInput("the RLE is cut off", where=where)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > _MOST_DIGITS:
        raise CorruptInput("the RLE holds a number that is too large", where=where)
    places = np.arange(codes.size) - np.repeat(starts, lengths)
    digits = (codes & _DIGIT) << (_BITS * places)
    numbers = np.add.reduceat(digits, starts)
    negative = (codes[ends] & _SIGN) != 0
    numbers = np.where(negative, numbers - (np.int64(1) << (_BITS * lengths)), numbers)
    runs = _undo_differences(numbers)
    if runs.min() < 0 or runs.max() > _MOST_PIXELS:
        raise CorruptInput("the RLE holds a negative or absurd run", where=where)
    return int(runs.sum())


def _undo_differences(numbers: np.ndarray) -> np.ndarray:
    """Runs from coded numbers: run[i] = number[i] + run[i - 2] for i > 2."""
    runs = numbers.copy()
    runs[1::2] = np.cumsum(numbers[1::2])
    if runs.size > 2:
        runs[2::2] = np.cumsum(numbers[2::2])
    return runs


def _size(value: object, where: str) -> tuple[int, int]:
    fits = (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in value)
        and value[0] * value[1] <= _MOST_PIXELS
    )
    if not fits:
        raise CorruptInput("the RLE's size is not [height, width]", where=where)
    assert isinstance(value, list)
    return value[0], value[1]


def _ascii(counts: str, where: str) -> bytes:
    try:
        return counts.encode("ascii")
    except UnicodeEncodeError as error:
        raise CorruptInput("the RLE holds a character outside its code", where=where) from error


def _compress(counts: list[object], height: int, width: int, where: str) -> Rle:
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in counts)
    if not whole or sum(counts) != height * width:  # type: ignore[arg-type]
        raise CorruptInput(f"the runs do not fill {height} x {width} pixels", where=where)
    packed = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    return Rle(size=[height, width], counts=packed["counts"])

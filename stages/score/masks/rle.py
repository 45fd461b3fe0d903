"""COCO run lengths to packed rows, without a detour over one byte per pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas.errors import CorruptInput
from stages.core.media.rle_checks import check_length, check_runs
from stages.score.masks.packed_masks import Rows, blank


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
    pixels = height * width
    if isinstance(counts, str | bytes):
        check_length(len(counts), pixels, where=where)
    else:
        check_runs(len(counts), pixels, where=where)
    if isinstance(counts, str):
        counts = counts.encode("ascii", "replace")
    lengths = _read(counts, where) if isinstance(counts, bytes) else _plain(counts, where)
    filled = int(lengths.sum())
    # Each run is looked at too: the sum of absurd ones can wrap around to the right number.
    if filled != pixels or lengths.min() < 0 or lengths.max() > pixels:
        raise CorruptInput(
            f"the runs fill {filled} of {height} x {width} = {pixels} pixels", where=where
        )
    from stages.score.masks.rle_runs import fill_runs  # a worker's: see stages.score.worker

    rows = blank(height, width)
    fill_runs(lengths, width, rows)
    return rows


def _plain(counts: Sequence[int], where: object) -> np.ndarray:
    try:
        return np.array(counts, dtype=np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise CorruptInput(f"the mask is not a valid RLE ({error})", where=where) from error


def _read(counts: bytes, where: object) -> np.ndarray:
    """Run lengths, int64, of a compressed mask."""
    from stages.score.masks.rle_runs import expand_runs

    lengths = np.empty(len(counts), np.int64)
    found = expand_runs(np.frombuffer(counts, np.uint8), lengths)
    if found < 0:
        raise CorruptInput("the mask is not a valid compressed RLE", where=where)
    return lengths[:found]

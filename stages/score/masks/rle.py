"""COCO run lengths to packed masks, without unpacking to one byte per pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas.errors import CorruptInput
from stages.core.media.rle_checks import check_length, check_runs
from stages.score.masks.packed_masks import PackedMask, empty_mask


def pack_rle(
    counts: bytes | str | Sequence[int], size: tuple[int, int], *, where: object
) -> PackedMask:
    """Pack a COCO mask.

    Args:
        counts: compressed, or a list of run lengths.
        size: (H, W).
        where: names the mask in errors.

    Raises:
        CorruptInput: not run lengths, or they do not fill height x width pixels.
    """
    height, width = size
    pixels = height * width
    if isinstance(counts, str | bytes):
        check_length(len(counts), pixels, where=where)
    else:
        check_runs(len(counts), pixels, where=where)
    if isinstance(counts, str):
        counts = counts.encode("ascii", "replace")
    lengths = _decompress(counts, where) if isinstance(counts, bytes) else _listed(counts, where)
    from stages.score.masks.rle_runs import fill_runs, fills  # for workers: stages.score.worker

    if not fills(lengths, pixels):
        raise CorruptInput(
            f"the runs fill {int(lengths.sum())} of {width}x{height} = {pixels} pixels", where=where
        )
    mask = empty_mask(size)
    fill_runs(lengths, width, mask.words)
    return mask


def _listed(counts: Sequence[int], where: object) -> np.ndarray:
    try:
        return np.array(counts, dtype=np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise CorruptInput(f"the mask is not a valid RLE ({error})", where=where) from error


def _decompress(counts: bytes, where: object) -> np.ndarray:
    """Decompress run lengths to int64 (N,)."""
    from stages.score.masks.rle_runs import decompress_runs

    lengths = np.empty(len(counts), np.int64)
    found = decompress_runs(np.frombuffer(counts, np.uint8), lengths)
    if found < 0:
        raise CorruptInput("the mask is not a valid compressed RLE", where=where)
    return lengths[:found]

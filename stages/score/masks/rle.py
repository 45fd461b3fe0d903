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
    if not counts:
        raise _too_few(0, size, where)
    if isinstance(counts, str):
        counts = counts.encode("ascii", "replace")
    mask = empty_mask(size)
    if isinstance(counts, bytes):
        _fill_compressed(counts, mask, where)
    else:
        _fill_listed(counts, mask, where)
    return mask


def _fill_compressed(counts: bytes, mask: PackedMask, where: object) -> None:
    from stages.score.masks.compiled import LOOPS, address  # for workers: stages.score.worker

    number = len(counts)
    lengths = np.empty(number + 1, np.int64)
    done = LOOPS["decompress_and_fill"](
        counts, number, address(lengths), *mask.size, address(mask.words)
    )
    if done < 0:
        raise CorruptInput("the mask is not a valid compressed RLE", where=where)
    if not done:
        raise _too_few(sum(lengths[: lengths[number]].tolist()), mask.size, where)


def _fill_listed(counts: Sequence[int], mask: PackedMask, where: object) -> None:
    from stages.score.masks.compiled import LOOPS, address

    try:
        lengths = np.array(counts, dtype=np.int64)
        if lengths.ndim != 1 or not np.array_equal(lengths, counts):
            raise TypeError("its run lengths are not whole numbers")
    except (TypeError, ValueError, OverflowError) as error:
        raise CorruptInput(f"the mask is not a valid RLE ({error})", where=where) from error
    if not LOOPS["fill_runs"](address(lengths), len(lengths), *mask.size, address(mask.words)):
        raise _too_few(sum(lengths.tolist()), mask.size, where)


def _too_few(filled: int, size: tuple[int, int], where: object) -> CorruptInput:
    height, width = size
    return CorruptInput(
        f"the runs fill {filled} of {width}x{height} = {height * width} pixels", where=where
    )

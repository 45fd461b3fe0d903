"""Masks resized by area, straight from their run lengths: no pixel is decoded.

Runs go down the columns. Cut into cells of the same height, the columns are one long row of cells,
over which each run begins in one cell and ends in another; whole numbers count what lies between,
so the result is exact for any ratio of the sides, where image libraries round places or weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from schemas.errors import CorruptInput
from stages.core.media.rle import Rle, checked_runs


@dataclass(frozen=True)
class Coverage:
    """The covered area of each cell of a square grid over a frame.

    Attributes:
        areas: int64 (side, side); `whole` where a cell is covered completely.
        whole: the number of the frame's pixels.
    """

    areas: np.ndarray
    whole: int

    def rounded(self, steps: int) -> np.ndarray:
        """Shares in whole `steps`, uint8 (side, side); halves round up.

        The best covered cell of a mask has at least 1, so that no mask becomes an empty one.
        """
        shares = (2 * steps * self.areas + self.whole) // (2 * self.whole)
        best = self.areas.argmax()
        if self.areas.flat[best] and not shares.flat[best]:
            shares.flat[best] = 1
        return shares.astype(np.uint8)

    def at_least(self, share: Fraction) -> np.ndarray:
        """Cells covered by at least a share, uint8 (side, side) of 0 and 1.

        The best covered cell of a mask always is, so that a small object does not vanish.
        """
        enough = self.areas * share.denominator >= self.whole * share.numerator
        best = self.areas.max()
        return (enough | ((self.areas == best) & (best > 0))).astype(np.uint8)


def covered_area(masks: Sequence[Rle], side: int, *, where: object) -> Coverage:
    """The area that the union of masks covers in each cell of a side x side grid over the frame.

    Args:
        masks: of one frame; none cover nothing.

    Raises:
        CorruptInput: as ``rle.decode``, or the masks differ in size.
    """
    if not masks:
        return Coverage(np.zeros((side, side), np.int64), 1)
    height, width = masks[0]["size"]
    if any(tuple(mask["size"]) != (height, width) for mask in masks):
        raise CorruptInput("the masks differ in size", where=where)
    starts, ends = _union([_segments(mask, where) for mask in masks])
    if not len(starts):
        return Coverage(np.zeros((side, side), np.int64), height * width)
    first, last = int(starts[0]) // height, (int(ends[-1]) - 1) // height + 1
    columns = _cells_of_columns(starts, ends, first, last, height, side)
    return Coverage(_across(columns, first, width, side).T, height * width)


def _segments(mask: Rle, where: object) -> tuple[np.ndarray, np.ndarray]:
    """First pixels of the foreground's runs, and the pixels after their last, int64 each."""
    borders = np.cumsum(checked_runs(mask, where=where))
    starts, ends = borders[:-1:2], borders[1::2]
    filled = starts < ends
    return (starts, ends) if filled.all() else (starts[filled], ends[filled])


def _union(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Disjoint segments that cover the same pixels as those of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    starts = np.concatenate([start for start, _ in parts])
    borders = np.concatenate([starts, *(end for _, end in parts)])
    order = np.argsort(borders, kind="stable")  # at one pixel, starts before ends: they merge
    begins = order < len(starts)
    depth = np.cumsum(np.where(begins, 1, -1))
    borders = borders[order]
    return borders[begins & (depth == 1)], borders[depth == 0]


def _cells_of_columns(
    starts: np.ndarray, ends: np.ndarray, first: int, last: int, height: int, side: int
) -> np.ndarray:
    """Covered part of the cells of columns first..last, int32 (columns, side).

    The unit is the side-th part of a pixel, of which a cell has `height`.
    """
    cells = (last - first) * side
    opened, in_opened = np.divmod((starts - first * height) * side, height)
    closed, in_closed = np.divmod((ends - first * height) * side, height)
    covered = np.zeros(cells + 2, np.int32)  # at most a column's height
    np.add.at(covered, opened + 1, 1)
    np.subtract.at(covered, closed + 1, 1)
    np.cumsum(covered, out=covered)  # whether a segment goes on from the cell before
    covered *= height
    np.add.at(covered, opened, height - in_opened)
    np.subtract.at(covered, closed, height - in_closed)
    return covered[:cells].reshape(last - first, side)


def _across(columns: np.ndarray, first: int, width: int, side: int) -> np.ndarray:
    """Sum columns over the cells of a grid's rows, int64 (side, side), column of the grid first.

    Args:
        columns: int32 (n, side), the only ones of `width` that are not empty.
        first: number of the first of them.
    """
    sums = np.zeros((len(columns) + 1, side), np.int32)  # at most the pixels of a frame
    np.cumsum(columns, axis=0, out=sums[1:])
    low, high = first * side // width, -(-(first + len(columns)) * side // width)
    place, part = np.divmod(np.arange(low, high + 1) * width, side)
    place -= first
    part[place < 0] = part[place >= len(columns)] = 0
    place = place.clip(0, len(columns))
    until = sums[place] * np.int64(side)
    until += columns[place.clip(max=len(columns) - 1)] * part[:, None]
    result = np.zeros((side, side), np.int64)
    result[low:high] = np.diff(until, axis=0)
    return result

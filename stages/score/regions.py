"""Region similarity J and boundary measure F as integer counts, on masks packed into 64-bit rows.

The definition is that of the DAVIS benchmark (Perazzi et al., "A Benchmark Dataset and Evaluation
Methodology for Video Object Segmentation", sections 5.1 and 5.2), which MeViS uses too: J is
intersection over union, F the harmonic mean of the precision and recall of boundary pixels that
have a boundary pixel of the other mask within a disk. Everything is counted in integers, so equal
masks give equal scores on every machine; docs/scoring.md spells the definition out.

Legend: H, W height and width in pixels; a mask's *rows* are uint64 (H, ceil(W / 64)), in which bit
`b` of word `k` is the pixel at column 64 k + b. Bits behind column W are always 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.uint64]
Corner = tuple[int, int]  # first row and word of a part
Window = tuple[int, int, int, int]  # first and last (exclusive) row, first and last word
Extent = tuple[int, int, int, int]  # first and last row, first and last column

WORD = 64
_BYTES_PER_WORD = 8
_TOLERANCE = 0.008  # the boundary's tolerance as a share of the image diagonal, DAVIS' value


class Counts(NamedTuple):
    """All that J and F of one frame depend on, in pixels.

    Attributes:
        intersection: pixels in both masks.
        predicted_area, true_area: pixels of the prediction and of the ground truth.
        predicted_edge, true_edge: boundary pixels of either.
        precise: boundary pixels of the prediction within reach of the truth's boundary.
        recalled: boundary pixels of the truth within reach of the prediction's boundary.
    """

    intersection: int
    predicted_area: int
    true_area: int
    predicted_edge: int
    true_edge: int
    precise: int
    recalled: int

    @property
    def union(self) -> int:
        """Pixels in either mask."""
        return self.predicted_area + self.true_area - self.intersection


def pack(mask: np.ndarray) -> Rows:
    """Rows of a mask (H, W); every value but 0 is foreground."""
    height, width = mask.shape
    packed = np.packbits(mask, axis=1, bitorder="little")  # (H, ceil(W / 8))
    return words_of(packed, height, width)


def words_of(packed: np.ndarray, height: int, width: int) -> Rows:
    """Bytes (H, ceil(W / 8)) of eight pixels, lowest bit first, as rows of words."""
    row_bytes = words_in(width) * _BYTES_PER_WORD
    if packed.shape[1] != row_bytes:
        padded = np.zeros((height, row_bytes), np.uint8)
        padded[:, : packed.shape[1]] = packed
        packed = padded
    return np.ascontiguousarray(packed).view("<u8")


def unpack(rows: Rows, width: int) -> np.ndarray:
    """The mask (H, W) of bool that `rows` holds."""
    bits = np.unpackbits(np.ascontiguousarray(rows).view(np.uint8), axis=1, bitorder="little")
    return bits[:, :width].astype(bool)


def words_in(width: int) -> int:
    """Words that a row of `width` pixels takes."""
    return -(-width // WORD)


def blank(height: int, width: int) -> Rows:
    """The rows of an empty mask."""
    return np.zeros((height, words_in(width)), np.uint64)


def area(rows: Rows) -> int:
    """Foreground pixels."""
    return int(np.bitwise_count(rows).sum(dtype=np.int64))


def boundary_radius(height: int, width: int) -> int:
    """Radius of the tolerance disk: ceil(0.008 x diagonal) pixels."""
    return math.ceil(_TOLERANCE * math.sqrt(height * height + width * width))


def boundary(rows: Rows, width: int) -> Rows:
    """Pixels that differ from their neighbour to the east, south or south-east.

    In the last row only the eastern neighbour counts, in the last column only the southern one,
    and the corner is never boundary.
    """
    words = rows.shape[1]
    flat = np.ascontiguousarray(rows).reshape(-1)
    east = flat >> np.uint64(1)  # bit x holds pixel x + 1; row ends are mended below
    east[:-1] |= flat[1:] << np.uint64(WORD - 1)
    edge = flat ^ east
    edge[:-words] |= flat[:-words] ^ flat[words:]
    edge[:-words] |= flat[:-words] ^ east[words:]
    edge = edge.reshape(rows.shape)
    word, bit = divmod(width - 1, WORD)
    edge[:, word] &= np.uint64((1 << bit) - 1)
    edge[:-1, word] |= (rows[:-1, word] ^ rows[1:, word]) & np.uint64(1 << bit)
    return edge


@lru_cache(maxsize=64)
def _disk_rectangles(radius: int) -> tuple[tuple[int, int], ...]:
    """The disk x^2 + y^2 <= radius^2 as a union of centred rectangles.

    Returns:
        (half width, half height), widest first; every half height occurs once.
    """
    widest = {math.isqrt(radius * radius - x * x): x for x in range(radius + 1)}
    return tuple(sorted(((x, y) for y, x in widest.items()), reverse=True))


def dilate(rows: Rows, radius: int) -> Rows:
    """Pixels within `radius` (Euclidean, inclusive) of a foreground pixel, inside the same window.

    The disk is a union of rectangles. A rectangle is a run down and a run across; runs down are
    unions of the same bits read at other rows, and the runs across are nested, so that each
    rectangle only adds what the next wider one lacks. Bits are spread to higher columns only and
    moved back once at the end.

    Args:
        rows: uint64 (H, words), or (N, H, words) for several masks at once.
    """
    if radius < 1 or not rows.size:
        return rows.copy()
    height, words = rows.shape[-2:]
    planes = rows.reshape(-1, height, words)
    rectangles = _disk_rectangles(radius)
    stride = words + -(-2 * radius // WORD)  # spare words catch the bits that leave a row
    # `radius` blank rows above and below each plane, and one at the end for the spare bits.
    tall = height + 2 * radius
    padded = np.zeros((len(planes) * tall + 1, stride), np.uint64)
    padded[:-1].reshape(-1, tall, stride)[:, radius : radius + height, :words] = planes
    runs = _runs_down(padded.reshape(-1), stride, radius, rectangles)
    spread, moved = runs[0], 0
    halves = [half for half, _ in rectangles] + [0]
    for index in range(len(rectangles)):
        step = halves[index] - halves[index + 1]
        spread, moved = _spread(spread, 2 * step), moved + step
        if index + 1 < len(rectangles):
            spread = _or_moved(spread, runs[index + 1], moved)
    result = np.zeros(len(planes) * tall * stride, np.uint64)
    result[: len(spread)] = _moved_back(spread, moved)
    return result.reshape(-1, tall, stride)[:, :height, :words].reshape(rows.shape)


def _runs_down(
    flat: Rows, stride: int, radius: int, rectangles: Sequence[tuple[int, int]]
) -> list[Rows]:
    """For each rectangle, the union over its half height up and down.

    Row `y` of a run is centred at row `y + radius` of `flat`; the last 2 x radius rows go.
    """
    current, length, runs = flat, 1, []
    size = len(flat) - 2 * radius * stride
    for _, half in rectangles:
        while length < 2 * half + 1:
            step = min(length, 2 * half + 1 - length)
            current = current[: -step * stride] | current[step * stride :]
            length += step
        first = (radius - half) * stride
        runs.append(current[first : first + size])
    return runs


def _spread(bits: Rows, columns: int) -> Rows:
    """The union of `bits` moved by 0, 1, ..., `columns` columns."""
    length = 1
    while length < columns + 1:
        step = min(length, columns + 1 - length)
        bits = _or_moved(bits, bits, step)
        length += step
    return bits


def _or_moved(base: Rows, bits: Rows, columns: int) -> Rows:
    """`base` or `bits` moved by `columns` towards higher columns; both flat."""
    words, shift = divmod(columns, WORD)
    if words:
        bits = np.concatenate([np.zeros(words, np.uint64), bits[:-words]])
    moved = bits << np.uint64(shift)
    if shift:
        moved[1:] |= bits[:-1] >> np.uint64(WORD - shift)
    moved |= base
    return moved


def _moved_back(bits: Rows, columns: int) -> Rows:
    """`bits` moved by `columns` towards lower columns; flat."""
    words, shift = divmod(columns, WORD)
    if words:
        bits = np.concatenate([bits[words:], np.zeros(words, np.uint64)])
    moved = bits >> np.uint64(shift)
    if shift:
        moved[:-1] |= bits[1:] << np.uint64(WORD - shift)
    return moved


class Target:
    """The ground truth of one frame, made ready to be compared with many predictions.

    Boundary matching only ever looks near the truth's boundary, so its window is cut out once.

    Args:
        rows: the true mask.
        width: W of the frame.
    """

    def __init__(self, rows: Rows, width: int):
        self.rows = rows
        self.width = width
        self.area = area(rows)
        self.radius = boundary_radius(rows.shape[0], width)
        self._near, self._window = _cut(*_edge(rows, width), rows.shape, self.radius)
        self.edge_area = area(self._near)

    def compare(self, rows: Rows) -> Counts:
        """The counts of a prediction with the same shape as the truth."""
        return self.compare_all([rows])[0]

    def compare_all(self, predictions: Sequence[Rows]) -> list[Counts]:
        """The counts of several predictions of the frame."""
        edges = [self._prediction_edge(rows) for rows in predictions]
        near = [self._near] + [_move(edge, corner, self._window) for edge, corner in edges]
        reach = dilate(np.stack(near), self.radius)  # (1 + predictions, H', words)
        counts = []
        for index, (edge, corner) in enumerate(edges):
            part = _at(corner, edge.shape)
            rows = predictions[index][part]
            counts.append(
                Counts(
                    intersection=area(rows & self.rows[part]),
                    predicted_area=area(rows),
                    true_area=self.area,
                    predicted_edge=area(edge),
                    true_edge=self.edge_area,
                    precise=area(near[index + 1] & reach[0]),
                    recalled=area(self._near & reach[index + 1]),
                )
            )
        return counts

    def _prediction_edge(self, rows: Rows) -> tuple[Rows, Corner]:
        if rows.shape != self.rows.shape:
            raise ValueError(f"expected rows {self.rows.shape}, got {rows.shape}")
        return _edge(rows, self.width)


def _at(corner: Corner, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The slices of a part of `shape` whose first row and word are `corner`."""
    return slice(corner[0], corner[0] + shape[0]), slice(corner[1], corner[1] + shape[1])


def _edge(rows: Rows, width: int) -> tuple[Rows, Corner]:
    """The boundary of a mask and its place; only the part around the foreground is looked at."""
    top, bottom, left, right = _window(extent(rows), 1, rows.shape)
    part = rows[top:bottom, left:right]
    if part.size:  # has a background pixel more on each side, or ends with the frame
        part = boundary(part, min(width - left * WORD, part.shape[1] * WORD))
    return part, (top, left)


def extent(rows: Rows) -> Extent | None:
    """First and last row, first and last column of the set bits; None if there is none."""
    union = np.bitwise_or.reduce(rows, axis=0)  # (words,)
    words = np.flatnonzero(union)
    if not len(words):
        return None
    first, last = int(words[0]), int(words[-1])
    held = rows[:, first]
    for word in range(first + 1, last + 1):
        held = held | rows[:, word]
    lines = np.flatnonzero(held)
    lowest, highest = int(union[first]), int(union[last])
    left = first * WORD + (lowest & -lowest).bit_length() - 1
    return int(lines[0]), int(lines[-1]), left, last * WORD + highest.bit_length() - 1


def _window(held: Extent | None, spare: int, frame: tuple[int, ...]) -> Window:
    """The window of a frame with room for everything within `spare` pixels of an extent."""
    if held is None:
        return 0, 0, 0, 0
    top, bottom, left, right = held
    return (
        max(top - spare, 0),
        min(bottom + spare + 1, frame[0]),
        max(left - spare, 0) // WORD,
        min((right + spare) // WORD + 1, frame[1]),
    )


def _cut(edge: Rows, corner: Corner, frame: tuple[int, ...], radius: int) -> tuple[Rows, Window]:
    """The edge that lies at `corner`, in a window with room for what is within `radius` of it."""
    held = extent(edge)
    if held is not None:
        down, right = corner[0], corner[1] * WORD
        held = held[0] + down, held[1] + down, held[2] + right, held[3] + right
    window = _window(held, radius, frame)
    return _move(edge, corner, window), window


def _move(part: Rows, corner: Corner, window: Window) -> Rows:
    """What lies inside a window of a part that lies at `corner`; 0 where the part is not."""
    top, bottom, left, right = window
    moved = np.zeros((bottom - top, right - left), np.uint64)
    first, start = max(corner[0], top), max(corner[1], left)
    last = min(corner[0] + part.shape[0], bottom)
    stop = min(corner[1] + part.shape[1], right)
    if first < last and start < stop:
        inside = part[first - corner[0] : last - corner[0], start - corner[1] : stop - corner[1]]
        moved[first - top : last - top, start - left : stop - left] = inside
    return moved


def jaccard(counts: Counts) -> float:
    """J of a frame; 1 where both masks are empty."""
    return counts.intersection / counts.union if counts.union else 1.0


def f_measure(counts: Counts) -> float:
    """F of a frame; 1 where neither mask has a boundary, 0 where only one has."""
    if not counts.predicted_edge and not counts.true_edge:
        return 1.0
    if not counts.predicted_edge or not counts.true_edge:
        return 0.0
    precision = counts.precise / counts.predicted_edge
    recall = counts.recalled / counts.true_edge
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)

"""Labels on objects, placed where the mask is thickest or beside it, always inside the frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt

from stages.core.media.palette import BACKGROUND, TEXT, Colour
from stages.tools.render.text import Face

_PIXELS_PER_POINT = 26
_SMALLEST_FACE, _LARGEST_FACE = 11, 36
_LARGEST_SHARE = 0.5
"""Of the frame's width, for a label's text."""
_WORKING_SIDE = 96
"""Masks are thinned out to this side before distances are computed; the place is as good."""
_COVERED, _STILL_COVERED = 0.2, 0.4
"""Share of the object's area that a label may hide; one that lies on the object stays longer."""
_OWN_SHARE = 0.15
"""Of an object's area, which no other mask covers: its label lies on this part."""
_THINNEST_BORDER = 2
_DEEPEST = 0.95
"""Places that are so deep, compared with the deepest, are as good: the most central is taken."""
_KEPT_DEPTH = 0.7
"""A label keeps its place on the object while it is that deep, compared with the deepest."""
_SHIFTS = (0, -1, 1, -2, 2)
"""Of a label on its object that another label stands in the way of, in its own heights."""
_ABOVE, _BELOW = "above", "below"

Box = tuple[int, int, int, int]
"""Left, top, right and bottom edge in pixels, half-open."""


@dataclass(frozen=True)
class Label:
    """Text on an object, in a frame of the object's colour."""

    text: str
    colour: Colour


@dataclass
class _Place:
    """A label's place, which it keeps from frame to frame while it can.

    Attributes:
        x, y: of the deepest place of its object, as shares of the bounding box.
        inside: the label is small enough to lie on the object.
        slot: where it lies: above or below the object, or on it, as the distance from (x, y) in
            heights of the label.
    """

    x: float = 0.5
    y: float = 0.5
    inside: bool = False
    slot: str | int | None = None


class LabelPainter:
    """Draws the labels of one video's objects; a label moves with its object, without jumps.

    Args:
        labels: one per mask.
        height, width: of the frames, in pixels.
        font: see :class:`stages.tools.render.text.Face`.
    """

    def __init__(self, labels: Sequence[Label], height: int, width: int, font: Path | None = None):
        self._frame = height, width
        size = min(max(min(height, width) // _PIXELS_PER_POINT, _SMALLEST_FACE), _LARGEST_FACE)
        self._face = Face(size, font)
        self._chips = [self._chip(label) for label in labels]
        self._places: list[_Place | None] = [None] * len(labels)

    def draw(
        self, image: np.ndarray, masks: Sequence[np.ndarray], taken: Sequence[Box] = ()
    ) -> np.ndarray:
        """Draw a label for every mask with a pixel; a copy.

        A frame that is smaller than a label gets none.

        Args:
            image: uint8 (H, W, 3).
            masks: bool (H, W), one per label.
            taken: boxes that no label may cover, as far as there is room.
        """
        canvas = Image.fromarray(image)
        boxes = list(taken)
        count = np.sum(masks, axis=0, dtype=np.uint8)
        for number, (chip, mask) in enumerate(zip(self._chips, masks, strict=True)):
            if chip.width > canvas.width or chip.height > canvas.height or not mask.any():
                self._places[number] = None
                continue
            own = mask & (count == 1)
            where = own if own.sum() >= _OWN_SHARE * mask.sum() else mask
            box = self._box(number, mask, where, (chip.width, chip.height), boxes)
            boxes.append(box)
            canvas.paste(chip, box[:2], chip)
        return np.asarray(canvas)

    def _chip(self, label: Label) -> Image.Image:
        """The label as an image with transparent corners."""
        face, pad = self._face, self._face.size // 2
        border = max(_THINNEST_BORDER, face.size // 8)
        text = face.shorten(label.text, round(self._frame[1] * _LARGEST_SHARE))
        size = face.width(text) + 2 * pad, face.cap_height + 2 * pad
        chip = Image.new("RGBA", size)
        draw = ImageDraw.Draw(chip)
        box = 0, 0, size[0] - 1, size[1] - 1
        draw.rounded_rectangle(box, pad // 2, BACKGROUND, label.colour, border)
        draw.text((pad, pad - face.cap_top), text, TEXT, face.font)
        return chip

    def _box(
        self,
        number: int,
        mask: np.ndarray,
        where: np.ndarray,
        size: tuple[int, int],
        taken: Sequence[Box],
    ) -> Box:
        """Choose a place for a label of `size` (width, height).

        Args:
            where: part of the mask that the label should lie on, bool (H, W).
        """
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        extent = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        left, top, right, bottom = map(int, extent)
        place = _placed(where[top:bottom, left:right], self._places[number])
        limit = _STILL_COVERED if place.inside else _COVERED
        place.inside = size[0] * size[1] <= limit * int(np.count_nonzero(mask))
        self._places[number] = place
        x = left + place.x * (right - left) - size[0] / 2
        y = top + place.y * (bottom - top) - size[1] / 2
        middle = np.average(np.arange(mask.shape[1]), weights=mask.sum(0)) - size[0] / 2
        heights = self._heights(y, top, bottom, size[1], inside=place.inside)
        for slot in [slot for slot in (place.slot,) if slot in heights] + list(heights):
            beside = slot in (_ABOVE, _BELOW)
            box = _inside(middle if beside else x, heights[slot], size, self._frame)
            if not _hits(box, taken):
                place.slot = slot
                return box
        over = _inside(x, y, size, self._frame)
        shifted = (box for box in _shifted(over, size, self._frame) if not _hits(box, taken))
        return next(shifted, over)

    def _heights(
        self, y: float, top: int, bottom: int, height: int, *, inside: bool
    ) -> dict[str | int, float]:
        """Upper edges of a label of this height by slot, the preferred ones first.

        Args:
            y: that of a label in the deepest place.
            top, bottom: of the object.
        """
        gap = self._face.size // 3
        beside: dict[str | int, float] = {_ABOVE: top - gap - height, _BELOW: bottom + gap}
        beside = {slot: z for slot, z in beside.items() if 0 <= z <= self._frame[0] - height}
        on: dict[str | int, float] = {}
        if inside:
            on = {way: y + way * (height + gap) for way in _SHIFTS}
            on = {slot: z for slot, z in on.items() if top <= z <= bottom - height}
        return {**on, **beside}


def _placed(mask: np.ndarray, before: _Place | None) -> _Place:
    """The deepest place of a mask (h, w), as shares of its sides; or the one before."""
    height, width = mask.shape
    step = -(-max(height, width) // _WORKING_SIDE)
    thinned = np.pad(mask[step // 2 :: step, step // 2 :: step], 1)
    depth = distance_transform_edt(thinned)[1:-1, 1:-1]
    if not depth.size or not depth.any():  # too thin for any sample
        return before or _Place()
    if before is not None:
        row = min(int(before.y * depth.shape[0]), depth.shape[0] - 1)
        column = min(int(before.x * depth.shape[1]), depth.shape[1] - 1)
        if depth[row, column] >= _KEPT_DEPTH * depth.max():
            return before
    rows, columns = np.nonzero(depth >= _DEEPEST * depth.max())
    x, y = (columns + 0.5) / depth.shape[1], (rows + 0.5) / depth.shape[0]
    middle = np.argmin((x - 0.5) ** 2 + (y - 0.5) ** 2)
    return replace(before or _Place(), x=float(x[middle]), y=float(y[middle]))


def _inside(x: float, y: float, size: tuple[int, int], frame: tuple[int, int]) -> Box:
    """A box of `size` (width, height) as near to (x, y) as a frame of (height, width) allows."""
    left = min(max(round(x), 0), frame[1] - size[0])
    top = min(max(round(y), 0), frame[0] - size[1])
    return left, top, left + size[0], top + size[1]


def _shifted(box: Box, size: tuple[int, int], frame: tuple[int, int]) -> Iterator[Box]:
    """A box, then places further and further down, up, right and left of it."""
    yield box
    step = max(1, size[1] // 2)
    for far in range(step, max(frame), step):
        for x, y in ((0, far), (0, -far), (far, 0), (-far, 0)):
            yield _inside(box[0] + x, box[1] + y, size, frame)


def _hits(box: Box, others: Sequence[Box]) -> bool:
    return any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
        for other in others
    )

"""Images of single objects: a palette image per frame, or a mask per object."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image

from schemas.errors import CorruptInput

_COLOURS = 256
_BITS = 8
MOST_OBJECTS = _COLOURS - 1


def palette_png(masks: Sequence[tuple[int, np.ndarray]], size: tuple[int, int]) -> bytes:
    """Encode objects as one palette PNG, in which a pixel's value is the number of its object.

    Args:
        masks: number (1 to 255) and mask, bool (H, W), of each object; where objects overlap, a
            later one covers an earlier one.
        size: (H, W).
    """
    numbers = np.zeros(size, np.uint8)
    for number, mask in masks:
        numbers[mask] = number
    image = Image.fromarray(numbers, mode="P")
    image.putpalette(list(_palette()))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=False, compress_level=1)
    return file.getvalue()


def scored_palette_png(
    masks: Sequence[np.ndarray | None],
    scores: Sequence[float | None],
    size: tuple[int, int],
    *,
    where: str,
) -> bytes:
    """Encode the objects 1, 2, ... of a sentence; where they overlap, the best one covers the rest.

    Args:
        masks: bool (H, W) of each object; None where it is not visible.
        scores: of each object; None counts as 0.
        size: (H, W).
        where: the sentence, for messages.

    Raises:
        CorruptInput: there are more objects than a palette has numbers.
    """
    if len(masks) > MOST_OBJECTS:
        raise CorruptInput(
            f"{len(masks)} tracks are too many for a palette image, which has {MOST_OBJECTS}",
            where=where,
            hint="write them with --objects folders",
        )
    order = sorted(range(len(masks)), key=lambda place: (scores[place] or 0.0, -place))
    shown = [(place + 1, masks[place]) for place in order]
    return palette_png([(number, mask) for number, mask in shown if mask is not None], size)


@cache
def _palette() -> bytes:
    """Colours of PASCAL VOC's palette: bit k of a number goes to channel k % 3, high bits first."""
    colours = bytearray()
    for number in range(_COLOURS):
        for channel in range(3):
            value = 0
            for step in range(_BITS):
                value |= (number >> (3 * step + channel) & 1) << (_BITS - 1 - step)
            colours.append(value)
    return bytes(colours)

"""Palette images of a sentence's objects, in the order of their scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas.errors import CorruptInput
from stages.core.datasets.palette import MOST_OBJECTS, palette_png


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

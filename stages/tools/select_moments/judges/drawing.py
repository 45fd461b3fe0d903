"""Frames that show a judge which object is meant: a crop of it, and the frame with its outline."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

MARGIN = 0.15
"""Width of the border around an object's box, as a fraction of the box's longer side."""
COLOUR = (255, 0, 0)
"""Of outlines; prompts name it (Shtedritski et al., "What does CLIP know about a red circle?")."""
_GREY = 128
_LINES_PER_SIDE = 128
_LEAST_LINE = 2
_BLURS_PER_SIDE = 24


def object_crop(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Crop a square around an object; what is not the object is grey and blurred.

    Args:
        frame: uint8 RGB (H, W, 3).
        mask: bool (H, W), not empty.

    Returns:
        uint8 RGB (n, n, 3); grey where the square leaves the frame.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
    side = max(1, round(max(height, width) * (1 + 2 * MARGIN)))
    top = int(rows[0]) - (side - height) // 2
    left = int(columns[0]) - (side - width) // 2
    pixels = _window(frame, top, left, side, _GREY)
    inside = _window(mask, top, left, side, False)
    ground = Image.fromarray(pixels).convert("L")
    ground = ground.filter(ImageFilter.GaussianBlur(side / _BLURS_PER_SIDE))
    faded = (np.asarray(ground)[:, :, None] // 2 + _GREY // 2).astype(np.uint8)
    return np.where(inside[:, :, None], pixels, faded)


def _window(array: np.ndarray, top: int, left: int, side: int, fill: object) -> np.ndarray:
    """The square (side, side, ...) of an array, which it may leave on every side."""
    found = np.full((side, side, *array.shape[2:]), fill, array.dtype)
    low_y, low_x = max(top, 0), max(left, 0)
    part = array[low_y : max(top + side, 0), low_x : max(left + side, 0)]
    y, x = low_y - top, low_x - left
    found[y : y + part.shape[0], x : x + part.shape[1]] = part
    return found


def outlined(frame: np.ndarray, mask: np.ndarray, *, square: bool = False) -> np.ndarray:
    """Draw a red line around an object.

    Args:
        frame: uint8 RGB (H, W, 3).
        mask: bool (H, W).
        square: pad the frame to a square with grey, for models that would cut off its sides.

    Returns:
        uint8 RGB, (H, W, 3) or (n, n, 3).
    """
    width = max(_LEAST_LINE, round(min(mask.shape) / _LINES_PER_SIDE))
    large = Image.fromarray(mask.astype(np.uint8) * 255).filter(
        ImageFilter.MaxFilter(2 * width + 1)
    )
    drawn = frame.copy()
    drawn[(np.asarray(large) > 0) & ~mask] = COLOUR
    if not square:
        return drawn
    side = max(mask.shape)
    top, left = -((side - mask.shape[0]) // 2), -((side - mask.shape[1]) // 2)
    return _window(drawn, top, left, side, _GREY)

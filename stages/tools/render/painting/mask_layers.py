"""Masks blended over a frame: translucent fill, opaque outline, dark rim around it.

Where masks overlap, the fill is striped in the colours of all of them; the outlines lie above every
fill, in the order of the layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from stages.core.media.palette import AGREEMENT, EXTRA, MISSED, OUTLINE, Colour

# The shorter side has this many pixels for each pixel of line width.
_PIXELS_PER_LINE = 200
_RIM_DARKNESS = 0.65
_STRIPE_LINES = 4
_STRIPE_STRONG, _STRIPE_WEAK = 1.5, 0.3
# Shares of a frame's saturation and brightness that stay below the masks.
_KEPT_COLOUR, _KEPT_LIGHT = 0.55, 0.85
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_HALF = 127

Pixels = Sequence[np.ndarray]
"""Rows and columns of pixels, in shapes that broadcast."""


@dataclass(frozen=True)
class MaskLayer:
    """One region to fill and outline.

    Attributes:
        mask: bool (H, W).
        hatched: filled with stripes.
        outline: colour of its boundary; None takes `colour`.
    """

    mask: np.ndarray
    colour: Colour
    hatched: bool = False
    outline: Colour | None = None


def comparison_layers(prediction: np.ndarray, truth: np.ndarray) -> list[MaskLayer]:
    """Agreement, missed and extra regions of two masks, bool (H, W)."""
    return [
        MaskLayer(prediction & truth, AGREEMENT, outline=OUTLINE),
        MaskLayer(truth & ~prediction, MISSED, hatched=True),
        MaskLayer(prediction & ~truth, EXTRA),
    ]


def fade(pixels: np.ndarray) -> np.ndarray:
    """Reduce saturation and brightness of pixels (..., 3); float32."""
    luma = (pixels @ _LUMA)[..., None]
    mixed = pixels * np.float32(_KEPT_COLOUR) + luma * np.float32(1 - _KEPT_COLOUR)
    return mixed * np.float32(_KEPT_LIGHT)


def blend_layers(
    image: np.ndarray, layers: Sequence[MaskLayer], opacity: float, *, dim: bool = False
) -> np.ndarray:
    """Blend layers over `image` (H, W, 3) uint8; a copy.

    Args:
        opacity: of the fill, from 0 to 1; outlines are always opaque.
        dim: fade the whole image, not only what lies below the layers, and darken the rim around
            all of them together, not around each.
    """
    line = line_width(image.shape[0], image.shape[1])
    covered = np.zeros(image.shape[:2], dtype=bool)
    for layer in layers:
        covered |= layer.mask
    painted = _rounded(fade(image)) if dim and opacity else image.copy()
    if opacity and covered.any():
        _fill(painted, image, covered, layers, opacity)
    rim = np.zeros_like(covered)
    for mask in [covered] if dim else [layer.mask for layer in layers]:
        near = _near(mask, line)
        rim[near] |= dilate(mask[near], line) & ~mask[near]
    painted[rim] = _rounded(painted[rim] * np.float32(1 - _RIM_DARKNESS))
    _outline(painted, layers, line)
    return painted


def _near(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """The part of a frame that a mask (H, W) lies in, with a margin around it."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return slice(0), slice(0)
    return (
        slice(max(0, rows[0] - margin), rows[-1] + 1 + margin),
        slice(max(0, columns[0] - margin), columns[-1] + 1 + margin),
    )


def _rounded(values: np.ndarray) -> np.ndarray:
    return values.round().astype(np.uint8)


def _outline(painted: np.ndarray, layers: Sequence[MaskLayer], line: int) -> None:
    """Outline the layers in `painted` (H, W, 3), in place; equal outlines share their pixels."""
    height, width = painted.shape[:2]
    bands = _bands(np.ogrid[:height, :width], line) % max(1, len(layers))
    parts = [_near(layer.mask, line) for layer in layers]
    masks = [layer.mask[near] for layer, near in zip(layers, parts, strict=True)]
    outlines = [mask & dilate(~mask, line) for mask in masks]
    drawn = list(zip(layers, parts, outlines, strict=True))
    for layer, near, outline in drawn:
        painted[near][outline] = layer.outline or layer.colour
    for number, (layer, near, outline) in enumerate(drawn):
        painted[near][outline & (bands[near] == number)] = layer.outline or layer.colour


def _fill(
    painted: np.ndarray,
    image: np.ndarray,
    covered: np.ndarray,
    layers: Sequence[MaskLayer],
    opacity: float,
) -> None:
    """Mix the layers' colours with `image` into `painted`, both (H, W, 3), where `covered`."""
    line = line_width(*covered.shape)
    pixels = np.nonzero(covered)  # rows and columns, (N,) each
    colour = np.empty((len(pixels[0]), 3), dtype=np.float32)
    strength = np.ones((len(pixels[0]), 1), dtype=np.float32)
    inside = [layer.mask[pixels] for layer in layers]  # (N,) each
    count = np.sum(inside, axis=0)
    # Where layers overlap, each has its turn in one diagonal band after another.
    turn = _bands(pixels, line) % count
    before = np.zeros_like(count)
    for layer, here in zip(layers, inside, strict=True):
        chosen = here & (before == turn)
        before += here
        colour[chosen] = layer.colour
        if layer.hatched:
            strength[chosen] = _stripes(pixels, line)[chosen]
    alpha = np.minimum(np.float32(opacity) * strength, 1)
    painted[pixels] = _rounded(fade(image[pixels]) * (1 - alpha) + colour * alpha)


def _stripes(pixels: Pixels, line: int) -> np.ndarray:
    """Strength of diagonal stripes at N pixels, float32 (N, 1)."""
    strong = _bands(pixels, line) % 2 == 0
    return np.where(strong, _STRIPE_STRONG, _STRIPE_WEAK).astype(np.float32)[:, None]


def _bands(pixels: Pixels, line: int) -> np.ndarray:
    """Number of the diagonal band of each pixel, int."""
    return (pixels[0] + pixels[1]) // (_STRIPE_LINES * line)


def line_width(height: int, width: int) -> int:
    """Width of an outline in an image of this size, in pixels."""
    return max(1, round(min(height, width) / _PIXELS_PER_LINE + 0.25))


def dilate(mask: np.ndarray, steps: int) -> np.ndarray:
    """Dilate `mask` (H, W) by a diamond of radius `steps`."""
    dilated = mask.copy()
    for _ in range(steps):
        last = dilated.copy()
        dilated[1:] |= last[:-1]
        dilated[:-1] |= last[1:]
        dilated[:, 1:] |= last[:, :-1]
        dilated[:, :-1] |= last[:, 1:]
    return dilated


def resize_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize uint8 (H, W, 3)."""
    if image.shape[:2] == (height, width):
        return image
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(resized)


def resize_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a mask, bool (H, W); its outline is smoothed when it grows."""
    if mask.shape == (height, width):
        return mask
    luma = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(luma.resize((width, height), Image.Resampling.BILINEAR)) > _HALF

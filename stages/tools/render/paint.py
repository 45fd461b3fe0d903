"""Masks painted over a frame: see-through fill, outline in full colour, dark rim around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from stages.tools.render.palette import AGREEMENT, EXTRA, MISSED, OUTLINE, Colour

# A line is one pixel wide for every so many pixels of the shorter side.
_PIXELS_PER_LINE = 200
_RIM_DARKNESS = 0.65
_STRIPE_LINES = 4
_STRIPE_STRONG, _STRIPE_WEAK = 1.5, 0.3
# How much of a frame's own colour and light stays where painted colours must stand out.
_KEPT_COLOUR, _KEPT_LIGHT = 0.55, 0.85
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_HALF = 127


@dataclass(frozen=True)
class Layer:
    """One region to paint.

    Attributes:
        mask: bool (H, W).
        hatched: striped instead of even.
        outline: colour of its edge, its own if None.
    """

    mask: np.ndarray
    colour: Colour
    hatched: bool = False
    outline: Colour | None = None


def compare(prediction: np.ndarray, truth: np.ndarray) -> list[Layer]:
    """Agreement, missed and extra region of two masks, bool (H, W)."""
    return [
        Layer(prediction & truth, AGREEMENT, outline=OUTLINE),
        Layer(truth & ~prediction, MISSED, hatched=True),
        Layer(prediction & ~truth, EXTRA),
    ]


def subdue(picture: np.ndarray) -> np.ndarray:
    """Pixels (..., 3) of any type as float32 with less colour and light."""
    grey = (picture @ _LUMA)[..., None]
    mixed = picture * np.float32(_KEPT_COLOUR) + grey * np.float32(1 - _KEPT_COLOUR)
    return mixed * np.float32(_KEPT_LIGHT)


def paint(
    picture: np.ndarray, layers: Sequence[Layer], opacity: float, *, dim: bool = False
) -> np.ndarray:
    """`picture` (H, W, 3) uint8 with the layers over it; where they overlap, colours mix.

    Args:
        opacity: of the fill, from 0 to 1; outlines are always opaque.
        dim: subdue all of the picture, not only what lies below the layers.
    """
    line = line_width(picture.shape[0], picture.shape[1])
    covered = np.zeros(picture.shape[:2], dtype=bool)
    for layer in layers:
        covered |= layer.mask
    painted = _rounded(subdue(picture)) if dim and opacity else picture.copy()
    if opacity and covered.any():
        _fill(painted, picture, covered, layers, opacity)
    rim = grow(covered, line) & ~covered
    painted[rim] = _rounded(painted[rim] * np.float32(1 - _RIM_DARKNESS))
    _outline(painted, layers, line)
    return painted


def _rounded(values: np.ndarray) -> np.ndarray:
    return values.round().astype(np.uint8)


def _outline(painted: np.ndarray, layers: Sequence[Layer], line: int) -> None:
    """Draw the layers' edges into `painted` (H, W, 3), in place; equal edges share their pixels."""
    bands = _bands(painted.shape[:2], line) % max(1, len(layers))
    edges = [layer.mask & grow(~layer.mask, line) for layer in layers]
    for layer, edge in zip(layers, edges, strict=True):
        painted[edge] = layer.outline or layer.colour
    for number, (layer, edge) in enumerate(zip(layers, edges, strict=True)):
        painted[edge & (bands == number)] = layer.outline or layer.colour


def _fill(
    painted: np.ndarray,
    picture: np.ndarray,
    covered: np.ndarray,
    layers: Sequence[Layer],
    opacity: float,
) -> None:
    """Mix the layers' colours over `picture` into `painted`, both (H, W, 3), where `covered`."""
    line = line_width(*covered.shape)
    places = np.nonzero(covered)  # N pixels
    total = np.zeros((len(places[0]), 3), dtype=np.float32)
    weight = np.zeros((len(places[0]), 1), dtype=np.float32)
    count = np.zeros((len(places[0]), 1), dtype=np.float32)
    for layer in layers:
        here = layer.mask[places][:, None]
        share = here * (_stripes(places, line) if layer.hatched else np.float32(1))
        total += share * np.array(layer.colour, dtype=np.float32)
        weight += share
        count += here
    alpha = np.minimum(opacity * weight / count, 1)
    painted[places] = _rounded(subdue(picture[places]) * (1 - alpha) + total / weight * alpha)


def _stripes(places: tuple[np.ndarray, ...], line: int) -> np.ndarray:
    """Strong and weak diagonal stripes at N pixels given by row and column, float32 (N, 1)."""
    strong = ((places[0] + places[1]) // (_STRIPE_LINES * line)) % 2 == 0
    return np.where(strong, _STRIPE_STRONG, _STRIPE_WEAK).astype(np.float32)[:, None]


def _bands(shape: tuple[int, ...], line: int) -> np.ndarray:
    """The number of the diagonal band that a pixel lies in, int (H, W)."""
    rows, columns = np.indices(shape, sparse=True)
    return (rows + columns) // (_STRIPE_LINES * line)


def line_width(height: int, width: int) -> int:
    """Pixels of an outline in a picture of this size."""
    return max(1, round(min(height, width) / _PIXELS_PER_LINE + 0.25))


def grow(mask: np.ndarray, steps: int) -> np.ndarray:
    """`mask` (H, W) and every pixel that is up to `steps` from it, in a diamond."""
    grown = mask.copy()
    for _ in range(steps):
        last = grown.copy()
        grown[1:] |= last[:-1]
        grown[:-1] |= last[1:]
        grown[:, 1:] |= last[:, :-1]
        grown[:, :-1] |= last[:, 1:]
    return grown


def fit_picture(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A frame uint8 (H, W, 3) at another size."""
    if picture.shape[:2] == (height, width):
        return picture
    resized = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(resized)


def fit_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """A mask bool (H, W) at another size, its staircase smoothed when it grows."""
    if mask.shape == (height, width):
        return mask
    grey = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR)) > _HALF

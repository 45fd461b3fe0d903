"""Appearance of objects: shapes as signed distances, named colours, surface textures.

Distances are in units of the object's radius, in the object's own frame: x to the right, y down,
before rotation. Inside is negative.
"""

from dataclasses import dataclass

import numpy as np

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (215, 40, 40),
    "green": (50, 175, 60),
    "blue": (50, 85, 225),
    "yellow": (235, 215, 50),
    "purple": (150, 60, 190),
    "orange": (245, 135, 30),
    "white": (238, 238, 238),
    "cyan": (70, 205, 215),
}
TEXTURES = ("plain", "stripes", "dots", "shade")
TEXTURE_DEPTH = 0.22
STRIPE_PERIOD = 0.62
DOT_PERIOD = 0.7

# Chosen so that shapes of one radius have about the same area.
CIRCLE_RADIUS = 0.95
RING_OUTER, RING_INNER = 1.05, 0.46
SQUARE_HALF = 0.84
TRIANGLE_RADIUS = 1.2
STAR_OUTER, STAR_INNER, STAR_POINTS = 1.2, 0.56, 5
CROSS_LENGTH, CROSS_HALF = 1.05, 0.44
EXTENT = 1.25
"""Largest distance of a shape from its centre in radii, with blurred corners."""


def _regular(radii: list[float]) -> np.ndarray:
    """Corners (N,2) at equal angles from the top, at the given radii."""
    angles = 2 * np.pi * np.arange(len(radii)) / len(radii) - np.pi / 2
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.asarray(radii)[:, None]


def _cross() -> np.ndarray:
    a, b = CROSS_HALF, CROSS_LENGTH
    corners = [(-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a)]
    return np.array(corners + [(-x, -y) for x, y in corners])


POLYGONS: dict[str, np.ndarray] = {
    "square": SQUARE_HALF * np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]),
    "triangle": _regular([TRIANGLE_RADIUS] * 3),
    "star": _regular([STAR_OUTER, STAR_INNER] * STAR_POINTS),
    "cross": _cross(),
}
ROUND = ("circle", "ring")
"""Shapes that look the same at every angle, so that a spin would be invisible."""
SHAPES = (*ROUND, *POLYGONS)


@dataclass(frozen=True)
class Appearance:
    """Shape and colour, which sentences name, and texture; look-alikes share all three."""

    shape: str
    colour: str
    texture: str

    @property
    def category(self) -> str:
        """Shape and colour in words, such as `red circle`."""
        return f"{self.colour} {self.shape}"


def draw_appearance(
    rng: np.random.Generator, style: str, taken: tuple[Appearance, ...]
) -> Appearance:
    """Draw an appearance of a category that is not taken; plain style has plain surfaces."""
    categories = {appearance.category for appearance in taken}
    while True:
        shape = SHAPES[rng.integers(len(SHAPES))]
        colour = list(COLOURS)[rng.integers(len(COLOURS))]
        texture = TEXTURES[rng.integers(len(TEXTURES))] if style == "varied" else "plain"
        if f"{colour} {shape}" not in categories:
            return Appearance(shape, colour, texture)


def signed_distance(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance to the outline of a shape, negative inside.

    Args:
        shape: one of SHAPES.
        x, y: (H,W) coordinates in the object's own frame, in radii.

    Returns:
        (H,W) distances in radii.
    """
    if shape in POLYGONS:
        return _polygon_distance(POLYGONS[shape], x, y)
    radius = np.hypot(x, y)
    if shape == "circle":
        return radius - CIRCLE_RADIUS
    middle, half = (RING_OUTER + RING_INNER) / 2, (RING_OUTER - RING_INNER) / 2
    return np.abs(radius - middle) - half


def _polygon_distance(corners: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance to the nearest edge, negative inside by the even-odd rule."""
    start, end = corners, np.roll(corners, -1, axis=0)
    edge = (end - start)[:, :, None, None]  # (N,2,1,1)
    offset = np.stack([x, y])[None] - start[:, :, None, None]  # (N,2,H,W)
    along = np.clip((offset * edge).sum(1) / (edge * edge).sum(1), 0, 1)  # (N,H,W)
    nearest = np.hypot(offset[:, 0] - along * edge[:, 0], offset[:, 1] - along * edge[:, 1]).min(0)
    y0, y1 = start[:, 1, None, None], end[:, 1, None, None]
    straddles = (y0 > y) != (y1 > y)
    rise = np.where(y1 == y0, 1.0, y1 - y0)
    reach = start[:, 0, None, None] + (y - y0) / rise * (end - start)[:, 0, None, None]
    inside = (straddles & (x < reach)).sum(0) % 2 == 1
    return np.where(inside, -nearest, nearest)


def shading(texture: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Brightness factor (H,W) of a surface at (H,W) coordinates in the object's own frame."""
    if texture == "stripes":
        wave = np.sin(2 * np.pi * x / STRIPE_PERIOD)
    elif texture == "dots":
        wave = np.sin(2 * np.pi * x / DOT_PERIOD) * np.sin(2 * np.pi * y / DOT_PERIOD)
    elif texture == "shade":
        wave = np.clip(x - y, -1, 1)
    else:
        return np.ones_like(x)
    return 1 - TEXTURE_DEPTH * (0.5 - 0.5 * wave)

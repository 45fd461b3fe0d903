"""Pictures and exact visible masks of a scene."""

import numpy as np

from stages.tools.toy.background import draw_background
from stages.tools.toy.config import ToyConfig
from stages.tools.toy.looks import COLOURS, EXTENT, shading, signed_distance
from stages.tools.toy.scene import Scene, SceneObject

OCCLUDER_SHARE = 0.4
OCCLUDER_WIDTH = (0.05, 0.085)
OCCLUDER_GREY = (95, 165)
OUTLINE = 1.6
OUTLINE_SHADE = 0.55
GRAIN = 2.0
COVERED = 0.5
"""A pixel belongs to the topmost thing that covers at least this share of it."""


def render(
    scene: Scene, config: ToyConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a scene from back to front.

    Returns: frames (T,H,W,3) uint8 RGB and labels (T,H,W) uint8: 0 for background and occluders, k
    + 1 where the
        k-th object of the scene is what one sees.
    """
    size, frames = config.size, config.frames
    pictures = draw_background(frames, size, config.style, rng)
    labels = np.zeros((frames, size, size), np.uint8)
    for place, thing in enumerate(scene.objects):
        for frame in range(frames):
            _paint(thing, place + 1, frame, pictures[frame], labels[frame])
    if config.style == "varied":
        if rng.random() < OCCLUDER_SHARE:
            _occlude(pictures, labels, rng)
        pictures += GRAIN * rng.standard_normal(pictures.shape, np.float32)
    return np.clip(np.rint(pictures), 0, 255).astype(np.uint8), labels


def _paint(
    thing: SceneObject, label: int, frame: int, picture: np.ndarray, labels: np.ndarray
) -> None:
    """Paint one object into one picture (H,W,3) and its labels (H,W), both in place."""
    size = len(labels)
    track, radius = thing.track, thing.radius * thing.track.scale[frame] * size
    box = [_reach(centre[frame] * size, radius * EXTENT, size) for centre in (track.y, track.x)]
    window = tuple(slice(low, high) for low, high in box)
    if any(low >= high for low, high in box):
        return
    rows, columns = (np.arange(low, high) + 0.5 for low, high in box)
    down = (rows[:, None] - track.y[frame] * size) / radius
    right = (columns[None, :] - track.x[frame] * size) / radius
    cos, sin = np.cos(track.angle[frame]), np.sin(track.angle[frame])
    x, y = cos * right + sin * down, cos * down - sin * right  # (h,w), own frame
    distance = signed_distance(thing.look.shape, x, y) * radius  # pixels
    cover = np.clip(0.5 - distance, 0, 1)[..., None]
    colour = np.array(COLOURS[thing.look.colour]) * shading(thing.look.texture, x, y)[..., None]
    colour = np.where(distance[..., None] > -OUTLINE, colour * OUTLINE_SHADE, colour)
    picture[window] = picture[window] * (1 - cover) + colour * cover
    labels[window][cover[..., 0] >= COVERED] = label


def _reach(centre: float, reach: float, size: int) -> tuple[int, int]:
    """First and last + 1 pixel that something around a centre can touch, inside the picture."""
    return max(0, int(np.floor(centre - reach)) - 1), min(size, int(np.ceil(centre + reach)) + 1)


def _occlude(pictures: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> None:
    """Put a grey bar across all pictures (T,H,W,3), narrower than any object, and clear it in the
    labels (T,H,W)."""
    size = labels.shape[1]
    width = max(2, round(rng.uniform(*OCCLUDER_WIDTH) * size))
    start = int(rng.integers(size // 5, size - size // 5 - width))
    bar = slice(start, start + width)
    ramp = np.linspace(-1, 1, width) ** 2  # rounder at the edges, like a pole
    grey = (rng.uniform(*OCCLUDER_GREY) * (1 - ramp / 3)).astype(np.float32)
    if rng.random() < 1 / 2:
        pictures[:, :, bar] = grey[None, None, :, None]
        labels[:, :, bar] = 0
    else:
        pictures[:, bar] = grey[None, :, None, None]
        labels[:, bar] = 0

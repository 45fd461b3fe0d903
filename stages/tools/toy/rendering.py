"""Frames and exact visible masks of a scene."""

import numpy as np

from stages.tools.toy.appearance import COLOURS, EXTENT, shading, signed_distance
from stages.tools.toy.background import draw_background
from stages.tools.toy.config import ToyConfig
from stages.tools.toy.scene import Scene, SceneObject

OCCLUDER_SHARE = 0.4
OCCLUDER_WIDTH = (0.05, 0.085)
OCCLUDER_LEVEL = (95, 165)
OUTLINE = 1.6
OUTLINE_SHADE = 0.55
GRAIN = 2.0
COVERED = 0.5
"""A pixel belongs to the topmost object that covers at least this share of it."""


def render(
    scene: Scene, config: ToyConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a scene from back to front.

    Returns:
        frames (T,H,W,3) uint8 RGB, and labels (T,H,W) uint8: 0 for background and occluders, k + 1
        where the k-th object of the scene is visible.
    """
    size = config.size
    frames = draw_background(config.frames, size, config.style, rng)
    labels = np.zeros((config.frames, size, size), np.uint8)
    for number, obj in enumerate(scene.objects):
        for frame in range(config.frames):
            _paint(obj, number + 1, frame, frames[frame], labels[frame])
    if config.style == "varied":
        if rng.random() < OCCLUDER_SHARE:
            _occlude(frames, labels, rng)
        frames += GRAIN * rng.standard_normal(frames.shape, np.float32)
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8), labels


def _paint(obj: SceneObject, label: int, frame: int, image: np.ndarray, labels: np.ndarray) -> None:
    """Paint an object into a frame's image (H,W,3) and labels (H,W), both in place."""
    size = len(labels)
    path = obj.trajectory
    radius = obj.radius * path.scale[frame] * size
    box = [_reach(centre[frame] * size, radius * EXTENT, size) for centre in (path.y, path.x)]
    window = tuple(slice(low, high) for low, high in box)
    if any(low >= high for low, high in box):
        return
    rows, columns = (np.arange(low, high) + 0.5 for low, high in box)
    down = (rows[:, None] - path.y[frame] * size) / radius
    right = (columns[None, :] - path.x[frame] * size) / radius
    cos, sin = np.cos(path.angle[frame]), np.sin(path.angle[frame])
    x, y = cos * right + sin * down, cos * down - sin * right  # (h,w), own frame
    appearance = obj.appearance
    distance = signed_distance(appearance.shape, x, y) * radius  # pixels
    cover = np.clip(0.5 - distance, 0, 1)[..., None]
    shade = shading(appearance.texture, x, y)[..., None]
    colour = np.array(COLOURS[appearance.colour]) * shade
    colour = np.where(distance[..., None] > -OUTLINE, colour * OUTLINE_SHADE, colour)
    image[window] = image[window] * (1 - cover) + colour * cover
    labels[window][cover[..., 0] >= COVERED] = label


def _reach(centre: float, reach: float, size: int) -> tuple[int, int]:
    """First pixel and last + 1 in the image that an object around a centre can touch."""
    return max(0, int(np.floor(centre - reach)) - 1), min(size, int(np.ceil(centre + reach)) + 1)


def _occlude(frames: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> None:
    """Draw a grey bar, narrower than any object, across frames (T,H,W,3), and clear it in labels
    (T,H,W)."""
    size = labels.shape[1]
    width = max(2, round(rng.uniform(*OCCLUDER_WIDTH) * size))
    start = int(rng.integers(size // 5, size - size // 5 - width))
    bar = slice(start, start + width)
    ramp = np.linspace(-1, 1, width) ** 2  # rounder at the edges, like a pole
    level = (rng.uniform(*OCCLUDER_LEVEL) * (1 - ramp / 3)).astype(np.float32)
    if rng.random() < 1 / 2:
        frames[:, :, bar] = level[None, None, :, None]
        labels[:, :, bar] = 0
    else:
        frames[:, bar] = level[None, :, None, None]
        labels[:, bar] = 0

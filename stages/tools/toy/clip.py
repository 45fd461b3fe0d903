"""Synthetic clips, made in memory from the settings, the name of the split and a number."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stages.tools.toy.config import ToyConfig
from stages.tools.toy.rendering import render
from stages.tools.toy.scene import Scene, draw_scene
from stages.tools.toy.sentences import ToyExpression, draw_expressions

IDS_PER_CLIP = 10
"""Annotation ids reserved per clip: more than a clip has objects."""


@dataclass(frozen=True)
class ToyClip:
    """A clip and its ground truth.

    Attributes:
        first_anno: annotation id of the scene's first object; the others follow in scene order.
        frames: (T,H,W,3) uint8 RGB.
        labels: (T,H,W) uint8, k + 1 where the k-th object is visible.
    """

    video_id: str
    first_anno: int
    frames: np.ndarray
    labels: np.ndarray
    scene: Scene
    expressions: tuple[ToyExpression, ...]

    def anno_id(self, number: int) -> str:
        """Annotation id of the scene's object of this number."""
        return str(self.first_anno + number)

    @cached_property
    def masks(self) -> dict[str, np.ndarray]:
        """Visible mask (T,H,W) bool by annotation id."""
        return {
            self.anno_id(number): self.labels == number + 1
            for number in range(len(self.scene.objects))
        }

    def moments(self, expression: ToyExpression) -> dict[str, list[tuple[int, int]]]:
        """Spans [start, end) of an expression by annotation id; empty without referents."""
        return {self.anno_id(number): list(spans) for number, spans in expression.moments.items()}


def clip_rng(config: ToyConfig, split: str, index: int) -> np.random.Generator:
    """Random numbers of a clip, which depend only on the seed, the split and its number."""
    name = int.from_bytes(hashlib.sha256(split.encode()).digest()[:8], "big")
    return np.random.default_rng([config.seed, name, index])


def make_clip(config: ToyConfig, split: str, index: int) -> ToyClip:
    """Make a clip; equal arguments give equal clips.

    Args:
        split: any name; different names never share clips.
        index: the clip's number in its split, from 0.

    Raises:
        ConfigError: no room for so many objects.
    """
    rng = clip_rng(config, split, index)
    expressions: list[ToyExpression] = []
    while not expressions:
        scene = draw_scene(config, rng)
        expressions = draw_expressions(scene, config, rng)
    frames, labels = render(scene, config, rng)
    video_id = f"{split}_{index:04d}"
    return ToyClip(video_id, index * IDS_PER_CLIP, frames, labels, scene, tuple(expressions))

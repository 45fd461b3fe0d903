"""One synthetic clip, made in memory from the settings, the split's name and its number."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stages.tools.toy.config import ToyConfig
from stages.tools.toy.rendering import render
from stages.tools.toy.scene import Scene, draw_scene
from stages.tools.toy.sentences import ToyExpression, draw_expressions

IDS_A_CLIP = 10
"""Distance of the first annotation ids of neighbouring clips: more than a clip has objects."""


@dataclass(frozen=True)
class Clip:
    """A clip and its whole truth.

    Fields: video_id; first_anno (annotation id of the scene's first object; they count up in scene
    order); frames (T,H,W,3) uint8 RGB; labels (T,H,W) uint8, k + 1 where the k-th object is
    visible; the scene; expressions.
    """

    video_id: str
    first_anno: int
    frames: np.ndarray
    labels: np.ndarray
    scene: Scene
    expressions: tuple[ToyExpression, ...]

    def anno_id(self, place: int) -> str:
        """Annotation id of the object at a place of the scene."""
        return str(self.first_anno + place)

    @cached_property
    def masks(self) -> dict[str, np.ndarray]:
        """Visible mask (T,H,W) bool by annotation id."""
        return {self.anno_id(p): self.labels == p + 1 for p in range(len(self.scene.objects))}

    def moments(self, expression: ToyExpression) -> dict[str, list[tuple[int, int]]]:
        """Spans [start, end) in frames of an expression by annotation id; empty without
        referents."""
        return {self.anno_id(place): list(spans) for place, spans in expression.moments.items()}


def clip_rng(config: ToyConfig, split: str, index: int) -> np.random.Generator:
    """A generator of its own for a clip: the stream depends on seed, split and number, on nothing
    else."""
    name = int.from_bytes(hashlib.sha256(split.encode()).digest()[:8], "big")
    return np.random.default_rng([config.seed, name, index])


def make_clip(config: ToyConfig, split: str, index: int) -> Clip:
    """Make a clip; equal arguments give equal clips, without a disk.

    Args:
        split: any name; different names never share clips.
        index: the clip's number in its split, from 0.

    Raises: ConfigError, if there is no room for the objects asked for.
    """
    rng = clip_rng(config, split, index)
    expressions: list[ToyExpression] = []
    while not expressions:
        scene = draw_scene(config, rng)
        expressions = draw_expressions(scene, config, rng)
    frames, labels = render(scene, config, rng)
    video_id = f"{split}_{index:04d}"
    return Clip(video_id, index * IDS_A_CLIP, frames, labels, scene, tuple(expressions))

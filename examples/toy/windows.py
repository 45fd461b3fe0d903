"""Training data of the toy backbone: windows of synthetic clips, with prompts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from stages.core.model.backbones.preprocess import normalise
from stages.core.model.backbones.records import Prompts
from stages.tools.toy.clip import make_clip
from stages.tools.toy.config import ToyConfig

SPLIT = "pretrain"
POOL_CLIPS = 320
FRESH_EVERY = 2
"""Steps between two new clips in the pool."""
PLAIN_SHARE = 0.15
LONGEST_STRIDE = 3
LEAST_AREA = 30
"""Fewest visible pixels of an object to prompt."""
TRACK_FRAMES = 24
"""Clip length that the pointers' positions are scaled by."""
BOX_SHARE = 0.5
"""Share of boxes in the prompts that are not masks; the others are clicks."""
BOX_JITTER = 0.1
MOST_CLICKS = 3


@dataclass(frozen=True)
class Phase:
    """Composition of the steps from a point of the training on.

    Attributes:
        start: share of the training after which the phase begins.
        frames: per window.
        clips: windows per step.
        objects: most objects per window.
        masks: share of the steps whose prompts are masks.
    """

    start: float
    frames: int
    clips: int
    objects: int
    masks: float


# Single frames first: for a tenth of the cost they teach what an object and what a prompt is.
PHASES = (
    Phase(0.0, frames=1, clips=6, objects=5, masks=0.0),
    Phase(0.12, frames=2, clips=4, objects=4, masks=0.6),
    Phase(0.25, frames=3, clips=4, objects=3, masks=0.7),
    Phase(0.45, frames=5, clips=4, objects=3, masks=0.75),
    Phase(0.85, frames=7, clips=4, objects=3, masks=0.8),
)


@dataclass(frozen=True)
class TrackBatch:
    """Windows of clips, and objects to track in them.

    Attributes:
        pixels: (N * T, 3, S, S), N windows one after another.
        masks: (B, T, S, S) float, visible masks of B objects.
        frames: (B, T) index into `pixels` of each object's frames.
    """

    pixels: Tensor
    masks: Tensor
    frames: Tensor


class ClipPool:
    """Clips in memory, replaced one by one; batches depend on the seed and the first step only."""

    def __init__(self, size: int, seed: int, step: int):
        self.rng = np.random.default_rng([seed, step])
        self._config = ToyConfig(seed=seed, size=size, frames=TRACK_FRAMES)
        self._next = step // FRESH_EVERY
        self._clips = [self._make() for _ in range(POOL_CLIPS)]

    def _make(self) -> tuple[np.ndarray, np.ndarray]:
        style = "plain" if self.rng.random() < PLAIN_SHARE else "varied"
        clip = make_clip(replace(self._config, style=style), SPLIT, self._next)
        self._next += 1
        return clip.frames, clip.labels

    def renew(self) -> None:
        """Replace one clip."""
        self._clips[self.rng.integers(len(self._clips))] = self._make()

    def batch(self, phase: Phase) -> TrackBatch:
        """Draw the windows of a step."""
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        while len(parts) < phase.clips:
            window = self._window(phase)
            if window is not None:
                pixels, masks = window
                rows = torch.arange(phase.frames) + len(parts) * phase.frames
                parts.append((pixels, masks, rows.expand(len(masks), -1)))
        return TrackBatch(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def _window(self, phase: Phase) -> tuple[Tensor, Tensor] | None:
        """Draw pixels (T, 3, S, S) and masks (B, T, S, S) of a window; None without an object."""
        rng = self.rng
        frames, labels = self._clips[rng.integers(len(self._clips))]
        stride = rng.integers(1, LONGEST_STRIDE + 1)
        start = rng.integers(len(labels) - stride * (phase.frames - 1))
        times = start + stride * np.arange(phase.frames)
        if rng.random() < 1 / 2:
            times = times[::-1]
        frames, labels = _transform(frames[times], labels[times], rng)
        areas = np.bincount(labels[0].ravel())
        present = [label for label in range(1, len(areas)) if areas[label] >= LEAST_AREA]
        if not present:
            return None
        chosen = rng.permutation(present)[: phase.objects]
        masks = labels[None] == chosen[:, None, None, None]
        pixels = normalise(torch.from_numpy(_recolour(frames, rng)).permute(0, 3, 1, 2))
        return pixels, torch.from_numpy(masks).float()


def _transform(
    frames: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Apply a symmetry of the square to frames (T, S, S, 3) and labels (T, S, S)."""
    rotations, flip = int(rng.integers(4)), rng.random() < 1 / 2
    frames, labels = np.rot90(frames, rotations, (1, 2)), np.rot90(labels, rotations, (1, 2))
    return (frames[:, :, ::-1], labels[:, :, ::-1]) if flip else (frames, labels)


def _recolour(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change colours and brightness, so that not only the named colours are learnt."""
    mixed = frames[..., rng.permutation(3)] if rng.random() < 1 / 2 else frames
    bright = mixed * rng.uniform(0.7, 1.15) + rng.uniform(-15, 15)
    return np.clip(bright, 0, 255).astype(np.uint8)


def draw_prompts(masks: Tensor, mask_share: float, rng: np.random.Generator) -> Prompts:
    """Draw masks, boxes or clicks for B objects from their masks (B, S, S), one kind per batch."""
    if rng.random() < mask_share:
        return Prompts(mask=masks)
    if rng.random() < BOX_SHARE:
        return Prompts(boxes=torch.stack([_box(mask, rng) for mask in masks]))
    clicks = int(rng.integers(1, MOST_CLICKS + 1))
    points = torch.stack([_clicks(mask, clicks, rng) for mask in masks])
    return Prompts(points=points, labels=torch.ones(points.shape[:2], dtype=torch.int64))


def _box(mask: Tensor, rng: np.random.Generator) -> Tensor:
    """Box x0, y0, x1, y1, (4,), around a mask (S, S), slightly off."""
    rows, columns = torch.nonzero(mask, as_tuple=True)
    low = torch.stack([columns.min(), rows.min()]).float()
    high = torch.stack([columns.max(), rows.max()]).float() + 1
    noise = torch.from_numpy(rng.uniform(-BOX_JITTER, BOX_JITTER, size=4)).float()
    return torch.cat([low, high]) + noise * (high - low).repeat(2)


def _clicks(mask: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    """Points x, y, (P, 2), inside a mask (S, S)."""
    inside = torch.nonzero(mask)
    return inside[torch.from_numpy(rng.integers(len(inside), size=count))].flip(1).float() + 0.5

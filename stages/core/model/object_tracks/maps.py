"""Mask logits of whole videos, rounded and deflated, so that all frames can be kept in memory."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from stages.core.model.tracking.overlaps import MATCH_SIDE

LEVELS_PER_LOGIT = 4
LARGEST_LOGIT = 8
"""Logits beyond it are cut: boundaries lie where they are small."""
_LAST_LEVEL = LEVELS_PER_LOGIT * LARGEST_LOGIT
_FAST = 1
"""zlib level; a map of 256 x 256 takes about 1 KB."""


def quantise(logits: Tensor) -> np.ndarray:
    """Mask logits (B, s, s) as levels, int8 (B, s, s); the sign is kept exactly."""
    scaled = logits.float() * LEVELS_PER_LOGIT
    levels = scaled.sign() * scaled.abs().ceil()
    return levels.clamp(-_LAST_LEVEL, _LAST_LEVEL).to(torch.int8).cpu().numpy()


class LogitMaps:
    """Mask logits of one sentence or one object in the T frames of a video.

    Args:
        side: s of the maps.

    Attributes:
        visible: frames in which some pixel belongs to the mask.
    """

    def __init__(self, side: int):
        self.side = side
        self.visible: set[int] = set()
        self._kept: dict[int, bytes] = {}

    def put(self, frame: int, levels: np.ndarray) -> None:
        """Add a map of a frame, int8 (s, s) as of ``quantise``; of two, the higher level counts."""
        if frame in self._kept:
            levels = np.maximum(levels, self._levels(frame))
        if levels.max() > -_LAST_LEVEL:
            self._kept[frame] = zlib.compress(np.ascontiguousarray(levels).tobytes(), _FAST)
        if levels.max() > 0:
            self.visible.add(frame)

    def logits(self, frames: Sequence[int]) -> Tensor:
        """float32 (n, s, s) rounded logits; the lowest one where nothing was put."""
        shape = (len(frames), self.side, self.side)
        levels = np.full(shape, -_LAST_LEVEL, np.int8)
        for place, frame in enumerate(frames):
            if frame in self._kept:
                levels[place] = self._levels(frame)
        return torch.from_numpy(levels).float() / LEVELS_PER_LOGIT

    def small_logits(self, frames: Sequence[int]) -> Tensor:
        """float32 (n, m, m) logits, averaged where s is larger than ``MATCH_SIDE``."""
        logits = self.logits(frames)
        if self.side <= MATCH_SIDE:
            return logits
        size = (MATCH_SIDE, MATCH_SIDE)
        return torch.nn.functional.interpolate(logits.unsqueeze(1), size=size, mode="area")[:, 0]

    def _levels(self, frame: int) -> np.ndarray:
        values = np.frombuffer(zlib.decompress(self._kept[frame]), np.int8)
        return values.reshape(self.side, self.side)

"""Sentences and tracks made of known squares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stages.core.model.object_tracks.maps import LogitMaps, quantise
from stages.core.model.object_tracks.records import SentenceMasks

SIDE = 16


def square(left: int, top: int = 2, size: int = 4) -> Tensor:
    """bool (16, 16) with a square."""
    mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask[top : top + size, left : left + size] = True
    return mask


def sentence(
    shown: Mapping[int, Tensor],
    guided: Sequence[int],
    frames: int = 8,
    *,
    score: float = 3.0,
    logit: float = 8.0,
) -> SentenceMasks:
    """A sentence with bool masks (s, s) in some frames."""
    maps = LogitMaps(len(next(iter(shown.values()))))
    for frame, mask in shown.items():
        maps.put(frame, quantise(torch.where(mask, logit, -8.0)[None])[0])
    route = np.zeros(frames, bool)
    route[list(guided)] = True
    scores = np.full(frames, score, np.float32)
    return SentenceMasks(maps, route, np.ones(frames, np.float32), scores)


@dataclass
class KnownTracks:
    """``ObjectTracks`` of given masks, bool (N, T, m, m)."""

    masks: Tensor

    @property
    def names(self) -> Sequence[str]:
        return [str(number) for number in range(len(self.masks))]

    def small(self, frames: Sequence[int]) -> Tensor:
        return self.masks[:, list(frames)]

    def full(self, frame: int, numbers: Sequence[int]) -> np.ndarray:
        return self.masks[list(numbers), frame].numpy()

    def visible(self, number: int) -> int:
        return int(self.masks[number].flatten(1).any(dim=1).sum())

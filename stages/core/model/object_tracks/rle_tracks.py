"""Object tracks kept as run lengths, such as those of an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stages.core.index.masks import Track
from stages.core.media.mask_bits import MaskBits, empty_bits, pack_mask
from stages.core.media.rle import decode
from stages.core.model.tracking.overlaps import MATCH_SIDE


@dataclass(frozen=True)
class RleTracks:
    """``ObjectTracks`` kept as run lengths at the video's size.

    Attributes:
        names: anno ids of the tracks.
        masks: of each, by frame.
        size: (H, W) of the video.
        where: the index, for messages.
    """

    names: Sequence[str]
    masks: Sequence[Track]
    size: tuple[int, int]
    where: Path

    def small(self, frames: Sequence[int]) -> Tensor:
        """See ``ObjectTracks``."""
        return self.cover(frames) >= 0.5

    def cover(self, frames: Sequence[int]) -> Tensor:
        """See ``ObjectTracks``."""
        side = min(MATCH_SIDE, *self.size)
        shares = torch.zeros(len(self.names), len(frames), side, side)
        for number in range(len(self.names)):
            for place, frame in enumerate(frames):
                if frame in self.masks[number]:
                    mask = torch.from_numpy(self._mask(frame, number)).float()
                    share = F.interpolate(mask[None, None], size=(side, side), mode="area")
                    shares[number, place] = share[0, 0]
        return shares

    def full(self, frame: int, numbers: Sequence[int]) -> MaskBits:
        """See ``ObjectTracks``; raises CorruptInput where run lengths do not fill the frame."""
        bits = np.repeat(empty_bits(*self.size)[None], len(numbers), axis=0)
        for place, number in enumerate(numbers):
            if frame in self.masks[number]:
                bits[place] = pack_mask(self._mask(frame, number))
        return bits

    def _mask(self, frame: int, number: int) -> np.ndarray:
        """uint8 (H, W) mask of a track that is visible on a frame."""
        return decode(self.masks[number][frame], where=f"{self.where}, {self.names[number]}")

    def visible(self, number: int) -> int:
        """See ``ObjectTracks``."""
        return len(self.masks[number])

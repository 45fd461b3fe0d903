"""Records that find, vote for and choose object tracks exchange."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from stages.core.media.mask_bits import MaskBits
from stages.core.model.object_tracks.maps import LogitMaps


@dataclass(frozen=True)
class SentenceMasks:
    """What dual-path propagation found for one sentence.

    Attributes:
        maps: mask logits of the guided frames at least, whatever their object scores.
        guided: bool (T,), the frames of the language path; none for a sentence without a target.
        relevance: float32 (T,) probabilities.
        scores: float32 (T,) object scores, logits; NaN where nothing was computed.
    """

    maps: LogitMaps
    guided: np.ndarray
    relevance: np.ndarray
    scores: np.ndarray


class ObjectTracks(Protocol):
    """N tracks of objects through a video of T frames."""

    @property
    def names(self) -> Sequence[str]:
        """Unique ids of the tracks."""

    def small(self, frames: Sequence[int]) -> Tensor:
        """bool (N, n, m, m) masks on some frames, at most at ``overlaps.MATCH_SIDE``."""

    def cover(self, frames: Sequence[int]) -> Tensor:
        """float32 (N, n, m, m): the share of each pixel that a track covers, as ``small``."""

    def full(self, frame: int, numbers: Sequence[int]) -> MaskBits:
        """uint8 (n, H, ceil(W / 8)): masks of some tracks on a frame, at full size."""

    def visible(self, number: int) -> int:
        """Number of frames in which a track has a mask."""

"""Where the features of a video's frames come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stages.core.model.backbones.features import FrameFeatures


class FeatureSource(Protocol):
    """Features of the T frames of a video, such as ``VideoFeatures``."""

    def __len__(self) -> int:
        """T."""

    def of(self, frames: Sequence[int]) -> FrameFeatures:
        """Features of some frames, in the order asked for."""


@dataclass(frozen=True)
class ClipFeatures:
    """Features of all frames, in memory."""

    features: FrameFeatures

    def __len__(self) -> int:
        return len(self.features)

    def of(self, frames: Sequence[int]) -> FrameFeatures:
        """See ``FeatureSource``."""
        return self.features[list(frames)]


@dataclass(frozen=True)
class SparseFeatures:
    """Some frames of a source as a clip of their own, numbered from 0.

    Attributes:
        source: features of the whole video.
        frames: ascending frame numbers.
    """

    source: FeatureSource
    frames: Sequence[int]

    def __len__(self) -> int:
        return len(self.frames)

    def of(self, frames: Sequence[int]) -> FrameFeatures:
        """See ``FeatureSource``."""
        return self.source.of([self.frames[place] for place in frames])

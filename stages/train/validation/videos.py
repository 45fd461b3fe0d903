"""Features of held-out videos, kept from one validation to the next as far as they fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from stages.core.index.index import Video
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.video_features import Encode, FrameSource, VideoFeatures
from stages.train.data.features import CHUNK_FRAMES, CachedFeatures

KEPT_BYTES = 1_000_000_000
"""Memory for the features of held-out videos between validations; 720 toy frames take a tenth."""

OpenVideo = Callable[[Video], AbstractContextManager[FrameSource]]
"""Makes the features of a video, for as long as the context lasts."""


class KeptVideos:
    """An ``OpenVideo`` that keeps the first videos' features in memory, and encodes the others.

    The encoder is frozen, so features that are kept are those that would be encoded again.

    Args:
        encode: the frozen encoder.
        size: S.
        device: of the encoder.
        decoders: threads that read frames while others are encoded.
        budget: bytes of all videos together.
    """

    def __init__(
        self,
        encode: Encode,
        size: int,
        device: torch.device,
        *,
        decoders: int,
        budget: int = KEPT_BYTES,
    ):
        self._encode = encode
        self._size = size
        self._device = device
        self._decoders = ThreadPoolExecutor(decoders, "decode")
        self._budget = budget
        self._free = float(budget)
        self._kept: dict[str, VideoFeatures] = {}

    @contextmanager
    def __call__(self, video: Video) -> Iterator[VideoFeatures]:
        """The features of a video; those not kept are dropped when the context ends."""
        kept = self._kept.get(video.video_id)
        if kept is not None:
            yield kept
            return
        # One that will not be kept may still use the whole budget while it is open.
        features = VideoFeatures(
            video,
            self._encode,
            size=self._size,
            device=self._device,
            budget=self._budget,
            chunk=CHUNK_FRAMES,
            decoders=self._decoders,
        )
        try:
            yield features
        finally:
            if features.nbytes <= self._free and features.complete:
                self._free -= features.nbytes
                self._kept[video.video_id] = features
            else:
                features.close()


@dataclass(frozen=True)
class StoredVideos:
    """An ``OpenVideo`` that reads features from a training's cache on disk.

    Attributes:
        others: of videos that are not cached.
    """

    cache: CachedFeatures
    others: OpenVideo

    @contextmanager
    def __call__(self, video: Video) -> Iterator[FrameSource]:
        """The features of a video."""
        if self.cache.rows.holds(video.video_id):
            yield StoredVideo(self.cache, video)
            return
        with self.others(video) as features:
            yield features


@dataclass(frozen=True)
class StoredVideo:
    """A ``FrameSource`` over a cache on disk."""

    cache: CachedFeatures
    video: Video

    def __len__(self) -> int:
        return self.video.num_frames

    def of(self, frames: Sequence[int]) -> FrameFeatures:
        """Features of some frames, in the order asked for."""
        return self.cache.of_video(self.video, np.asarray(frames))

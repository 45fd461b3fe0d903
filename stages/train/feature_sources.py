"""Features of a training's clips and videos: computed when they are needed, or kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from accelerate import Accelerator
from torch import Tensor

from stages.core.index.index import Index
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.tgl import TglModel
from stages.train.config import TrainConfig
from stages.train.data.features import CachedFeatures, ClipFeatures
from stages.train.data.stored_rows import DiskBudget
from stages.train.validation.videos import KeptVideos, OpenVideo, StoredVideos

Autocast = Callable[[], AbstractContextManager[object]]


class FeatureSources:
    """Makes feature sources that share one disk budget.

    Args:
        folder: for cached features.
        decoders: threads that read frames of whole videos.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: TglModel,
        autocast: Autocast,
        accelerator: Accelerator,
        folder: Path | None,
        decoders: int,
    ):
        self._encode = partial(_encode, model, autocast)
        self._size = model.backbone.image_size
        self._device = accelerator.device
        self._decoders = decoders
        self._folder = folder if config.cache_features else None
        self._budget = DiskBudget.of(config.cache_features)
        self._mirrored = config.flip > 0
        self._caches: dict[str, CachedFeatures] = {}

    def caches(self, indexes: Sequence[Index]) -> tuple[CachedFeatures, ...]:
        """Caches of the indexes that clips are taken from; none if nothing is cached."""
        if self._folder is None:
            return ()
        return tuple(
            self._cache(_of_index(number), index, mirrored=self._mirrored)
            for number, index in enumerate(indexes)
        )

    def of_clips(self, caches: Sequence[CachedFeatures]) -> ClipFeatures:
        """Features of clips of several indexes."""
        return ClipFeatures(self._encode, self._device, caches)

    def of_training(self, number: int, index: Index) -> OpenVideo:
        """Features of whole videos of one of the indexes that clips are taken from."""
        return self._of_videos(_of_index(number), index, mirrored=self._mirrored)

    def of_videos(self, index: Index) -> OpenVideo:
        """Features of a held-out index's videos."""
        return self._of_videos("valid-features", index, mirrored=False)

    def _of_videos(self, name: str, index: Index, *, mirrored: bool) -> OpenVideo:
        live = KeptVideos(self._encode, self._size, self._device, decoders=self._decoders)
        if self._folder is None:
            return live
        return StoredVideos(self._cache(name, index, mirrored=mirrored), live)

    def _cache(self, name: str, index: Index, *, mirrored: bool) -> CachedFeatures:
        """A cache by the name of its folder, made once: it takes its part of the budget."""
        assert self._folder is not None
        if name not in self._caches:
            self._caches[name] = CachedFeatures(
                self._folder / name,
                index,
                self._encode,
                self._size,
                self._device,
                self._budget,
                mirrored=mirrored,
                decoders=self._decoders,
            )
        return self._caches[name]


def _of_index(number: int) -> str:
    return f"features-{number + 1}"


def _encode(model: TglModel, autocast: Autocast, frames: Tensor) -> FrameFeatures:
    with autocast():
        return model.encode_frames(frames)

"""Building the parts of a training run from its config and inputs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor

from schemas.errors import CorruptInput, TglError
from schemas.receipts import read_receipt
from stages.core.engine.runtime import Runtime
from stages.core.engine.workers.pool import start_forkserver
from stages.core.index.index import Index
from stages.core.index.texts import TextStore
from stages.core.model import device
from stages.core.model.backbones.families import load_backbone
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.checkpoint import save_checkpoint
from stages.core.model.tgl import TglModel
from stages.train.config import TrainConfig, TrainInputs
from stages.train.data.dataset import ClipDataset
from stages.train.data.features import CachedFeatures, DiskBudget, FeatureSource, LiveFeatures
from stages.train.data.loader import WORKER_MODULES
from stages.train.distributed import broadcast_object
from stages.train.learner import ClipLearner
from stages.train.loop import Trainer
from stages.train.schedule import freeze_parts
from stages.train.validation.validate import Validator
from stages.train.validation.videos import KeptVideos, OpenVideo, StoredVideos

Autocast = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class TextIndex:
    """An index, and the embeddings of all of its sentences."""

    index: Index
    texts: TextStore

    @staticmethod
    def open(index_folder: Path, text_folder: Path) -> TextIndex:
        """Open both, and check that nothing is missing.

        Raises:
            MissingInput: a sentence has no embedding, or a video no frames.
            CorruptInput: the index is empty.
        """
        index, texts = Index.open(index_folder), TextStore.open(text_folder)
        if not index.expressions:
            raise CorruptInput("contains no sentences", where=index_folder)
        texts.require(expression.text for expression in index.expressions)
        index.require_frames(every_video=True)
        return TextIndex(index, texts)

    @staticmethod
    def held_out(inputs: TrainInputs) -> TextIndex | None:
        """The index to validate on, if any."""
        if inputs.valid is None:
            return None
        return TextIndex.open(inputs.valid, inputs.valid_text or inputs.text)


def build_trainer(
    config: TrainConfig,
    inputs: TrainInputs,
    data: TextIndex,
    accelerator: Accelerator,
    runtime: Runtime,
    keep: Path | None,
) -> Trainer:
    """Build a trainer, with its model on the device of the run.

    Args:
        keep: folder of the resumable state; None in all processes but the main one.
    """
    workers = 0 if config.cache_features else runtime.workers
    if workers:
        start_forkserver(WORKER_MODULES)  # it loads them while this process loads the model
    model = _model(config, inputs, data.texts.dim)
    groups = model.parameter_groups()
    freeze_parts(groups, config.freeze)
    model.to(accelerator.device)
    if runtime.compile:
        model.backbone.compile_parts()
    autocast = partial(device.autocast, runtime.precision, accelerator.device)
    cache = broadcast_object(keep, accelerator)
    source = _Features(config, model, autocast, accelerator, cache, runtime.workers)
    validator = _validator(config, inputs, model, source)
    return Trainer(
        config=config,
        dataset=_dataset(config, inputs, model.backbone.image_size),
        features=source.of_clips(data.index),
        learner=ClipLearner(
            model, config.loss_config(), mdp=config.mdp, use_relevance=config.reads_moments
        ),
        groups=groups,
        validate=None if validator is None else partial(validator, model, accelerator),
        save_model=partial(save_checkpoint, model=model, encoder=encoder_name(inputs.text)),
        accelerator=accelerator,
        autocast=autocast,
        keep=keep,
        workers=workers,
    )


def encoder_name(text_folder: Path) -> str:
    """The text encoder that the receipt of the texts names; `unknown` if it names none."""
    try:
        receipt = read_receipt(text_folder)
    except TglError:
        receipt = None
    if receipt is None or "encoder" not in receipt.config:
        return "unknown"
    config = receipt.config
    return f"{config['encoder']}, {config.get('pooling', 'unknown')} pooling"


class _Features:
    """Makes feature sources that share one disk budget.

    Args:
        cache: folder for cached features.
        decoders: threads that read frames of held-out videos.
    """

    def __init__(
        self,
        config: TrainConfig,
        model: TglModel,
        autocast: Autocast,
        accelerator: Accelerator,
        cache: Path | None,
        decoders: int,
    ):
        self._encode = partial(_encode, model, autocast)
        self._size = model.backbone.image_size
        self._device = accelerator.device
        self._decoders = decoders
        self._cache = cache if config.cache_features else None
        self._budget = DiskBudget.of(config.cache_features)

    def of_clips(self, index: Index) -> FeatureSource:
        """Features of an index's clips."""
        if self._cache is None:
            return LiveFeatures(self._encode, self._size, self._device)
        return self._stored(self._cache / "features", index)

    def of_videos(self, index: Index) -> OpenVideo:
        """Features of a held-out index's videos."""
        if self._cache is None:
            return KeptVideos(self._encode, self._size, self._device, decoders=self._decoders)
        return StoredVideos(self._stored(self._cache / "valid-features", index))

    def _stored(self, folder: Path, index: Index) -> CachedFeatures:
        return CachedFeatures(folder, index, self._encode, self._size, self._device, self._budget)


def _model(config: TrainConfig, inputs: TrainInputs, text_dim: int) -> TglModel:
    """The backbone with a new adapter, its weights drawn from the seed."""
    backbone = load_backbone(inputs.backbone)
    torch.manual_seed(config.seed)
    return TglModel(config.model_config(), backbone, text_dim, config.segmenter_config())


def _dataset(config: TrainConfig, inputs: TrainInputs, size: int) -> ClipDataset:
    with_pixels = not config.cache_features
    return ClipDataset(inputs.index, inputs.text, config, size=size, with_pixels=with_pixels)


def _validator(
    config: TrainConfig, inputs: TrainInputs, model: TglModel, source: _Features
) -> Validator | None:
    data = TextIndex.held_out(inputs)
    if data is None:
        return None
    videos = source.of_videos(data.index)
    return Validator(data.index, data.texts, videos, config, model.backbone.image_size)


def _encode(model: TglModel, autocast: Autocast, frames: Tensor) -> FrameFeatures:
    with autocast():
        return model.encode_frames(frames)

"""The model that a training starts from: a backbone with a new adapter, or a whole checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import torch

from schemas.errors import ConfigError
from stages.core.engine.digest import require_checkpoint
from stages.core.engine.settings import option_name, settings_of
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.families import load_backbone, outline_backbone
from stages.core.model.checkpoint import adapter_config, load_for_texts, outline_checkpoint
from stages.core.model.config import ModelConfig
from stages.core.model.tgl import TglModel
from stages.train.config import TrainConfig, TrainInputs

_HEAD = "track_width"  # a checkpoint may get a new track head


def with_sizes_of(
    config: TrainConfig, checkpoint: Path, given: Collection[str] = ()
) -> TrainConfig:
    """The config of a training that starts from a checkpoint: the adapter's sizes are those of it.

    Args:
        given: fields of the config that the user chose; they stay, for :func:`initial_model` to
            compare.

    Raises:
        MissingInput: not a checkpoint.
        TglError: as ``adapter_config``.
    """
    require_checkpoint(checkpoint)
    own = adapter_config(checkpoint)
    names = [name for name in settings_of(ModelConfig) if name not in (*given, _HEAD)]
    return replace(config, **{name: getattr(own, name) for name in names})


def initial_model(config: TrainConfig, inputs: TrainInputs, text_dim: int) -> TglModel:
    """The model before its first step, on the CPU.

    A new adapter's weights are drawn from the seed. A checkpoint gives all of its weights, frozen
    ones included, but no state of its optimiser: this is a new training, not a resumed one.

    Args:
        text_dim: D of the texts.

    Raises:
        ConfigError: the config asks for an adapter of other sizes than the checkpoint's.
        SchemaMismatch: the checkpoint was trained with texts of another width.
        TglError: as ``load_backbone`` and ``load_checkpoint``.
    """
    return _model(config, inputs, text_dim, load_backbone, load_for_texts)


def outlined_model(config: TrainConfig, inputs: TrainInputs, text_dim: int) -> TglModel:
    """As :func:`initial_model`, from config.json alone; see ``outline_backbone``."""
    return _model(config, inputs, text_dim, outline_backbone, outline_checkpoint)


def _model(
    config: TrainConfig,
    inputs: TrainInputs,
    text_dim: int,
    backbone_from: Callable[[Path], Backbone],
    checkpoint_from: Callable[[Path, int], TglModel],
) -> TglModel:
    if inputs.init is None:
        assert inputs.backbone is not None
        backbone = backbone_from(inputs.backbone)
        torch.manual_seed(config.seed)
        settings = config.model_config(), backbone, text_dim, config.segmenter_config()
        return TglModel(*settings, keep_original=True)
    _require_sizes(config, adapter_config(inputs.init), inputs.init)
    trained = checkpoint_from(inputs.init, text_dim)
    model = TglModel(config.model_config(), trained.backbone, text_dim, config.segmenter_config())
    model.adapter.load_state_dict(trained.adapter.state_dict())
    same_head = model.config.track_width == trained.config.track_width
    if model.track_head is not None and trained.track_head is not None and same_head:
        model.track_head.load_state_dict(trained.track_head.state_dict())
    model.original = trained.original
    return model.train()


def _require_sizes(config: TrainConfig, own: ModelConfig, checkpoint: Path) -> None:
    """Raise ConfigError for the first size of the adapter that is not the checkpoint's own."""
    for name, known in settings_of(ModelConfig).items():
        if name == _HEAD:
            continue
        wanted, found = getattr(config, name), getattr(own, name)
        if wanted != found:
            raise ConfigError(
                f"{wanted} does not fit --init {checkpoint}, whose adapter has {found}",
                where=option_name(name, known),
                hint="leave the option out, or train without --init",
            )

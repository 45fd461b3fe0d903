"""A TGL checkpoint: a folder with model.safetensors and config.json, loaded whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from schemas.errors import ConfigError, SchemaMismatch
from stages.core.model.backbones.families import backbone_of
from stages.core.model.config import (
    BEFORE_SETTINGS,
    ModelConfig,
    SegmenterConfig,
    TrackThresholds,
)
from stages.core.model.loading.families import CHECKPOINT_FORMAT
from stages.core.model.loading.pretrained import model_errors
from stages.core.model.loading.weights import CONFIG_NAME, WEIGHTS_NAME, load_fitting, read_config
from stages.core.model.tgl import TglModel

FORMAT = CHECKPOINT_FORMAT
VERSION = 1
_Config = TypeVar("_Config", ModelConfig, SegmenterConfig)
_ERROR_NUMBER = re.compile(r"\(os error (\d+)\)")


def save_checkpoint(folder: Path, model: TglModel, *, encoder: str, with_head: bool = True) -> None:
    """Write a checkpoint; each file appears whole or not at all.

    Args:
        folder: made if it does not exist.
        model: weights of the backbone, frozen parts included, and of the adapter.
        encoder: identity of the text encoder that the model was trained with.
        with_head: False leaves the track head out, as long as it is not fitted.
    """
    with_head = with_head and model.track_head is not None
    sizes = dataclasses.asdict(model.config) | dataclasses.asdict(model.segmenter)
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "model": sizes,
        "text": {"dim": model.text_dim, "encoder": encoder},
        "backbone": model.backbone.to_config(),
    }
    if model.original is not None:
        document["original"] = True
    if with_head:
        document["tracks"] = dataclasses.asdict(model.thresholds)
    else:
        del sizes["track_width"]
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=2, sort_keys=True, default=str) + "\n"
    _replace(folder / CONFIG_NAME, lambda path: path.write_text(text, encoding="utf-8"))
    save_weights(folder / WEIGHTS_NAME, model, with_head=with_head)


def save_weights(path: Path, model: TglModel, *, with_head: bool = True) -> None:
    """Write all tensors of a model, maybe without its track head, to one safetensors file."""
    from safetensors.torch import save_file

    tensors = {
        name: tensor.detach().to("cpu").contiguous()
        for name, tensor in model.state_dict().items()
        if with_head or not name.startswith("track_head.")
    }
    with _plain_errors(path):
        _replace(path, lambda temporary: save_file(tensors, temporary))


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Raise the OSError that safetensors met while it wrote."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        number = _ERROR_NUMBER.search(str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    temporary = path.with_name(path.name + ".partial")
    temporary.touch()
    mode = temporary.stat().st_mode
    write(temporary)
    temporary.chmod(
        mode
    )  # as the user's umask says: safetensors makes files that only the owner can read
    temporary.replace(path)


def load_checkpoint(folder: Path | str) -> TglModel:
    """Read a checkpoint, in eval mode, on the CPU.

    Raises:
        MissingInput: the folder or one of its files does not exist.
        CorruptInput: a file is damaged, or not the one that the checkpoint's receipt lists.
        SchemaMismatch: not a checkpoint of a known version, or weights that do not fit its config.
    """
    folder = Path(folder)
    document = read_document(folder)
    return load_fitting(partial(_build, document, folder), folder).eval()


def outline_checkpoint(folder: Path, dim: int) -> TglModel:
    """As :func:`load_for_texts`, but without weights, which need not be there.

    On torch's meta device if that is the default one, else with random weights.

    Raises:
        TglError: as :func:`load_for_texts` for config.json.
    """
    return _for_texts(_build(read_document(folder), folder).eval(), folder, dim)


def load_for_texts(folder: Path, dim: int) -> TglModel:
    """Read a checkpoint for text embeddings of width D.

    Raises:
        TglError: as :func:`load_checkpoint`.
        SchemaMismatch: the checkpoint was trained with another width.
    """
    return _for_texts(load_checkpoint(folder), folder, dim)


def _for_texts(model: TglModel, folder: Path, dim: int) -> TglModel:
    if dim != model.text_dim:
        raise SchemaMismatch(
            f"the texts have {dim} numbers per token, the checkpoint expects {model.text_dim}",
            where=folder,
            hint="precompute the text with the encoder that the model was trained with",
        )
    return model


def _build(document: dict[str, Any], folder: Path) -> TglModel:
    """The model that config.json describes, with random weights."""
    where = folder / CONFIG_NAME
    settings = _sizes(document)
    segmenter = _taken(SegmenterConfig, settings, where)
    config = _taken(ModelConfig, settings, where)
    if settings:
        raise SchemaMismatch(f"unknown model settings {', '.join(sorted(settings))}", where=where)
    backbone = backbone_of(document["backbone"], where)
    with model_errors(where, "torch cannot build a model from it"):
        # Checkpoints of earlier releases keep no weights to track with.
        keep = document.get("original") is True
        model = TglModel(config, backbone, text_dim(document), segmenter, keep_original=keep)
    try:
        model.thresholds = TrackThresholds(**document.get("tracks", {}))
    except (TypeError, ValueError) as error:
        raise SchemaMismatch(f"section 'tracks': {error}", where=where) from error
    return model


def read_document(folder: Path) -> dict[str, Any]:
    """config.json of a checkpoint, its format and version checked.

    Raises:
        MissingInput, CorruptInput: as ``read_config``.
        SchemaMismatch: it is not a TGL checkpoint, or of an unknown version.
    """
    document = read_config(folder)
    where = folder / CONFIG_NAME
    if document.get("format") != FORMAT:
        raise SchemaMismatch("not a TGL checkpoint", where=where, hint="make one with `tgl train`")
    if document.get("version") != VERSION:
        raise SchemaMismatch(
            f"checkpoint version {document.get('version')!r}, this tgl reads {VERSION}",
            where=where,
            hint="train again with `tgl train`",
        )
    for key in ("model", "text", "backbone"):
        if not isinstance(document.get(key), dict):
            raise SchemaMismatch(f"no section {key!r}", where=where)
    dim, encoder = (document["text"].get(key) for key in ("dim", "encoder"))
    if type(dim) is not int or dim < 1 or not isinstance(encoder, str):
        raise SchemaMismatch("its section 'text' lacks the width or the encoder", where=where)
    return document


def adapter_config(folder: Path) -> ModelConfig:
    """The architecture of a checkpoint's adapter, from its config.json alone.

    Raises:
        TglError: as :func:`read_document`.
        SchemaMismatch: a value is outside its limits.
    """
    settings = _sizes(read_document(folder))
    return _taken(ModelConfig, settings, folder / CONFIG_NAME)


def _sizes(document: dict[str, Any]) -> dict[str, Any]:
    """The section `model`, with what earlier releases did not write."""
    return BEFORE_SETTINGS | document["model"]


def text_dim(document: dict[str, Any]) -> int:
    """D of the text embeddings that a checkpoint was trained with."""
    return document["text"]["dim"]


def text_encoder(document: dict[str, Any]) -> str:
    """Identity of the text encoder that a checkpoint was trained with."""
    return document["text"]["encoder"]


def _taken(kind: type[_Config], settings: dict[str, Any], where: Path) -> _Config:
    """Take the settings of one kind out of a document's section.

    Raises:
        SchemaMismatch: a value is outside its limits.
    """
    known = [field.name for field in dataclasses.fields(kind) if field.name in settings]
    try:
        return kind(**{name: settings.pop(name) for name in known})
    except (ConfigError, TypeError, ValueError) as error:
        raise SchemaMismatch(str(error), where=where) from error

"""Weights are loaded whole or refused with what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from schemas.errors import CorruptInput, MissingInput, SchemaMismatch, TglError
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.families import load_backbone
from stages.core.model.checkpoint import (
    load_checkpoint,
    read_document,
    save_checkpoint,
    text_encoder,
)
from stages.core.model.tgl import TglModel

Make = Callable[..., TglModel]
Edit = Callable[[Path], None]


@pytest.fixture
def checkpoint(make_model: Make, tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "model", make_model(memory_frames=3), encoder="hash-16")
    return tmp_path / "model"


def edit_config(folder: Path, change: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    path = folder / "config.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def edit_weights(folder: Path, change: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)


def test_a_checkpoint_comes_back_to_the_bit(make_model: Make, checkpoint: Path) -> None:
    saved, loaded = make_model(memory_frames=3), load_checkpoint(checkpoint)
    assert (loaded.config, loaded.segmenter) == (saved.config, saved.segmenter)
    assert loaded.text_dim == saved.text_dim
    assert text_encoder(read_document(checkpoint)) == "hash-16"
    assert not loaded.training
    own, other = saved.state_dict(), loaded.state_dict()
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) for name in own)
    assert not list(checkpoint.glob("*.partial"))


def test_whoever_may_read_the_settings_may_read_the_weights(checkpoint: Path) -> None:
    modes = {path.stat().st_mode for path in checkpoint.iterdir()}
    assert len(modes) == 1


KEY = "adapter.coarse_out.weight"


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        (
            lambda folder: edit_weights(folder, lambda weights: weights.pop(KEY)),
            SchemaMismatch,
            rf"1 missing \({KEY}\)",
        ),
        (
            lambda folder: edit_weights(
                folder, lambda weights: weights.update(extra=torch.zeros(1))
            ),
            SchemaMismatch,
            r"1 unexpected \(extra\)",
        ),
        (
            lambda folder: edit_config(folder, lambda doc: doc["model"].update(adapter_width=32)),
            SchemaMismatch,
            r"of another size \(adapter",
        ),
        (
            lambda folder: edit_config(folder, lambda doc: doc["model"].update(colour=1)),
            SchemaMismatch,
            "unknown model settings colour",
        ),
        (
            lambda folder: edit_config(folder, lambda doc: doc["model"].update(memory_frames=0)),
            SchemaMismatch,
            "0 is outside",
        ),
        (
            lambda folder: edit_config(folder, lambda doc: doc.update(version=99)),
            SchemaMismatch,
            "version 99, this tgl reads 1",
        ),
        (
            lambda folder: edit_config(folder, lambda doc: doc.pop("text")),
            SchemaMismatch,
            "no section 'text'",
        ),
        (
            lambda folder: edit_config(
                folder, lambda doc: doc["backbone"].update(model_type="bert")
            ),
            SchemaMismatch,
            "backbone of model_type 'bert'",
        ),
        (
            lambda folder: (folder / "config.json").write_text("{"),
            CorruptInput,
            "not readable JSON",
        ),
        (
            lambda folder: (folder / "config.json").unlink(),
            MissingInput,
            "no config.json",
        ),
        (
            lambda folder: (folder / "model.safetensors").unlink(),
            MissingInput,
            "no model.safetensors",
        ),
        (
            lambda folder: (folder / "model.safetensors").write_bytes(
                (folder / "model.safetensors").read_bytes()[:-1]
            ),
            CorruptInput,
            "not a whole safetensors file",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    checkpoint: Path, edit: Edit, error: type[TglError], message: str
) -> None:
    edit(checkpoint)
    with pytest.raises(error, match=message) as caught:
        load_checkpoint(checkpoint)
    assert "\n" not in str(caught.value)
    assert str(checkpoint) in str(caught.value)


def test_many_missing_keys_are_counted_and_the_first_are_named(checkpoint: Path) -> None:
    def drop_adapter(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if name.startswith("adapter.")]:
            del weights[name]

    edit_weights(checkpoint, drop_adapter)
    with pytest.raises(SchemaMismatch, match=r"\d+ missing \(adapter\.\S+, .*, and \d+ more\)"):
        load_checkpoint(checkpoint)


def test_a_backbone_comes_back_to_the_bit(backbone: Backbone, tmp_path: Path) -> None:
    backbone.sam.save_pretrained(tmp_path)
    loaded = load_backbone(tmp_path).state_dict()
    assert all(torch.equal(loaded[name], own) for name, own in backbone.state_dict().items())


def test_a_backbone_of_another_kind_or_with_gaps_is_refused(
    backbone: Backbone, tmp_path: Path
) -> None:
    with pytest.raises(MissingInput, match="no such folder"):
        load_backbone(tmp_path / "facebook/sam2")
    backbone.sam.save_pretrained(tmp_path)
    edit_weights(tmp_path, lambda weights: weights.pop("no_memory_embedding"))
    with pytest.raises(SchemaMismatch, match=r"1 missing \(no_memory_embedding\)"):
        load_backbone(tmp_path)
    edit_config(tmp_path, lambda document: document.update(model_type="sam2"))
    with pytest.raises(SchemaMismatch, match="model_type 'sam2', expected 'sam2_video'"):
        load_backbone(tmp_path)

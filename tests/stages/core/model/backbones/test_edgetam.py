"""EdgeTAM behind the backbone's interface: its memory, its folder, and the model around it."""

from __future__ import annotations

import builtins
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_backbones import EDGETAM, SIZE, random_backbone, tiny_edgetam
from torch import Tensor

from schemas.errors import CorruptInput, MissingInput, SchemaMismatch
from stages.core.model.backbones.families import build_backbone, load_backbone
from stages.core.model.backbones.memory import MemoryBank, collate, read_nearest
from stages.core.model.backbones.presets import edgetam_preset
from stages.core.model.backbones.records import MemoryTokens
from stages.core.model.checkpoint import load_checkpoint, save_checkpoint
from stages.core.model.config import LossConfig
from stages.core.model.losses import clip_losses
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel

TOLERANCE = 1e-5
SIDE = (4, 4)
LATENTS = 7
Make = Callable[..., TglModel]


@torch.no_grad()
def test_a_batch_is_condensed_as_the_module_condenses_one_by_one() -> None:
    backbone = random_backbone(kind="edgetam")
    memory = torch.randn(3, 64, *SIDE, generator=torch.Generator().manual_seed(0))
    encoding = backbone.sam.memory_encoder.position_encoding
    tokens = backbone.memory_tokens(memory)
    for row in range(3):
        one = memory[[row]]
        latents, position = backbone.sam.spatial_perceiver(
            one, encoding(one.shape, one.device, one.dtype)
        )
        assert (tokens[row] - latents[0]).abs().max() <= TOLERANCE
        assert torch.equal(backbone.memory_position(SIDE, memory), position[0])


@torch.no_grad()
def test_without_global_latents_only_the_windows_are_remembered() -> None:
    torch.manual_seed(0)
    backbone = build_backbone(tiny_edgetam(SIZE, perceiver_resampler_num_latents=0)).eval()
    memory = torch.randn(2, 64, *SIDE)
    encoding = backbone.sam.memory_encoder.position_encoding
    one = memory[[1]]
    expected, _ = backbone.sam.spatial_perceiver(one, encoding(one.shape, one.device, one.dtype))
    assert backbone.memory_tokens(memory).shape == (2, 4, 64)
    assert (backbone.memory_tokens(memory)[1] - expected[0]).abs().max() <= TOLERANCE


@torch.no_grad()
def test_a_frame_is_read_as_its_latents() -> None:
    backbone = random_backbone(kind="edgetam")
    bank = MemoryBank()
    for frame in range(3):
        bank.write(frame, torch.randn(LATENTS, 64), torch.randn(128))
    tokens = collate([read_nearest(bank, 5, 2, backbone)], backbone, SIDE)
    assert tokens is not None
    pointers = 3 * 2  # three frames, pointers of 128 cut in two
    assert tokens.pointer_tokens == pointers
    assert tokens.memory.shape == tokens.position.shape == (2 * LATENTS + pointers, 1, 64)


@torch.no_grad()
def test_items_that_share_a_memory_read_it_as_if_it_were_their_own() -> None:
    backbone = random_backbone(kind="edgetam")
    coarse, position = torch.randn(4, 128, *SIDE), torch.randn(1, 128, *SIDE)
    memory, place = torch.randn(2, 2 * LATENTS + 4, 2, 64).unbind(0)
    owner = [1, 0, 1, 1]
    shared = backbone.attend(coarse, position, MemoryTokens(memory, place, 4, tuple(owner)))
    for row, group in enumerate(owner):
        own = MemoryTokens(memory[:, [group]], place[:, [group]], 4)
        alone = backbone.attend(coarse[[row]], position, own)
        assert (shared[row] - alone[0]).abs().max() <= TOLERANCE


@pytest.mark.parametrize("kind", EDGETAM)
@pytest.mark.parametrize("per_moment", [True, False])
@torch.no_grad()
def test_sentences_in_a_batch_equal_one_by_one(
    make_model: Make,
    pixels: Tensor,
    text: TextBatch,
    relevant: Tensor,
    kind: str,
    per_moment: bool,
) -> None:
    model = make_model(kind=kind)
    features = model.encode(pixels)
    together = model.clip(features, text, relevant, per_moment=per_moment)
    for row in range(len(text)):
        alone = model.clip(features, text[[row]], relevant[[row]], per_moment=per_moment)
        for name in ("mask_logits", "object_score_logits", "relevance_logits"):
            difference = getattr(together, name)[row] - getattr(alone, name)[0]
            assert difference.abs().max() <= TOLERANCE


@pytest.mark.parametrize("kind", EDGETAM)
def test_gradients_reach_all_that_is_trained_and_nothing_frozen(
    make_model: Make, pixels: Tensor, text: TextBatch, relevant: Tensor, kind: str
) -> None:
    model = make_model(kind=kind).train()
    out = model.clip(model.encode(pixels), text, relevant)
    targets = torch.zeros(3, 6, SIZE, SIZE)
    targets[:, :, 20:36, 10:40] = 1
    clip_losses(out, targets, relevant, LossConfig())["total"].backward()
    groups = model.parameter_groups()
    trained = groups["new"] | groups["pretrained"]
    assert any("spatial_perceiver" in name for name in trained)
    assert not [name for name, parameter in trained.items() if parameter.grad is None]
    assert all(parameter.grad is None for parameter in groups["frozen"].values())


def test_the_last_frames_loss_reaches_the_perceiver_through_the_bank(
    make_model: Make, pixels: Tensor, text: TextBatch
) -> None:
    model = make_model(kind="edgetam").train()
    relevant = torch.tensor([[True, True, False, False, False, False]])
    out = model.clip(model.encode(pixels), text[[0]], relevant)
    out.mask_logits[0, 5].sigmoid().mean().backward()  # unguided: it knows the text by memory only
    sam = model.backbone.sam
    reached = {
        "adapter": model.adapter.coarse_out.weight,
        "memory encoder": sam.memory_encoder.projection.weight,
        "latents of the frame": sam.spatial_perceiver.latents_1d,
        "latents of its windows": sam.spatial_perceiver.latents_2d,
        "perceiver": sam.spatial_perceiver.layers[0].cross_attention.v_proj.weight,
        "memory attention": sam.memory_attention.layers[0].cross_attn_image.v_proj.weight,
        "pointers": sam.object_pointer_proj.proj_in.weight,
    }
    for name, parameter in reached.items():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


@pytest.mark.parametrize("kind", EDGETAM)
@torch.no_grad()
def test_training_leaves_the_encoders_statistics_alone(
    make_model: Make, pixels: Tensor, kind: str
) -> None:
    """The encoder of timm has batch normalisation."""
    model = make_model(kind=kind).train()
    before = {name: value.clone() for name, value in model.backbone.sam.named_buffers()}
    model.encode(pixels)
    after = dict(model.backbone.sam.named_buffers())
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.parametrize("kind", EDGETAM)
def test_a_folder_and_a_checkpoint_come_back_to_the_bit(
    make_model: Make, tmp_path: Path, kind: str
) -> None:
    model = make_model(kind=kind)
    model.backbone.sam.save_pretrained(tmp_path / "backbone")
    save_checkpoint(tmp_path / "checkpoint", model, encoder="hash-16")
    for own, loaded in (
        (model.backbone, load_backbone(tmp_path / "backbone")),
        (model, load_checkpoint(tmp_path / "checkpoint")),
    ):
        back = loaded.state_dict()
        assert type(loaded) is type(own)
        assert own.state_dict().keys() == back.keys()
        assert all(torch.equal(value, back[name]) for name, value in own.state_dict().items())


def edit_config(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A saved EdgeTAM with SAM 2's encoder."""
    random_backbone(kind="edgetam").sam.save_pretrained(tmp_path / "edgetam")
    return tmp_path / "edgetam"


def test_weights_that_do_not_fit_are_refused_with_their_names(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["spatial_perceiver.latents_1d"]
    save_file(weights | {"extra": torch.zeros(1)}, folder / "model.safetensors")
    pattern = r"1 missing \(spatial_perceiver.latents_1d\); 1 unexpected \(extra\)"
    with pytest.raises(SchemaMismatch, match=pattern) as caught:
        load_backbone(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"memory_attention_rope_k_sizes": [4, 4]}, SchemaMismatch, r"4 2-D latents do not fit"),
        (
            {"perceiver_resampler_num_latents_2d": 5},
            SchemaMismatch,
            r"5 2-D latents do not fit memory_attention_rope_k_sizes \[2, 2\]",
        ),
        (
            {
                "perceiver_resampler_num_latents_2d": 9,
                "memory_attention_rope_k_sizes": [3, 3],
            },
            SchemaMismatch,
            "features of 4x4 cannot be cut into 3x3 windows",
        ),
        (
            {"num_maskmem": "many"},
            CorruptInput,
            "transformers cannot build a model from it .*num_maskmem",
        ),
        ({"vision_config": 5}, CorruptInput, "transformers cannot build a model from it"),
        (
            {"memory_attention_hidden_size": 0},
            CorruptInput,
            "transformers cannot build a model from it",
        ),
    ],
)
def test_a_configuration_that_makes_no_model_is_refused_in_one_line(
    folder: Path, fields: dict[str, Any], error: type[Exception], message: str
) -> None:
    edit_config(folder, **fields)
    with pytest.raises(error, match=message) as caught:
        load_backbone(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    "reason", [ImportError("No module named 'timm'"), RuntimeError("operator nms does not exist")]
)
def test_a_missing_timm_is_one_line_with_the_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, reason: Exception
) -> None:
    edit_config(folder, vision_config={"model_type": "edgetam_vision_model"})
    plain = builtins.__import__

    def without_timm(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "timm":
            raise reason
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_timm)
    with pytest.raises(MissingInput, match=r"needs the package timm .*tgl\[edgetam\]") as caught:
        load_backbone(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="needs tgl[edgetam]")
@torch.no_grad()
def test_the_published_sizes_track_at_256_pixels(tmp_path: Path) -> None:
    backbone = build_backbone(edgetam_preset(256)).eval()
    assert backbone.memory_length == 512
    features = backbone.encode(torch.zeros(2, 3, 256, 256))
    tokens = backbone.remember(
        features.coarse, torch.zeros(2, 64, 64), torch.ones(2), gate=True, binarise=False
    )
    assert tokens.shape == (2, 512, 64)
    backbone.sam.save_pretrained(tmp_path)
    loaded = load_backbone(tmp_path).state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in backbone.state_dict().items())

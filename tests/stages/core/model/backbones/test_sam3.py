"""SAM 3's tracker behind the backbone's interface: its features, its folders, the model on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_backbones import SAM3_SIZE, random_backbone, tiny_sam3, tiny_sam3_video
from torch import Tensor

from schemas.errors import ConfigError, SchemaMismatch, TglError
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.families import build_backbone, load_backbone
from stages.core.model.backbones.presets import sam3_preset
from stages.core.model.backbones.sam3 import Sam3Backbone, sam3_pixels
from stages.core.model.checkpoint import load_checkpoint, save_checkpoint
from stages.core.model.config import LossConfig
from stages.core.model.losses import clip_losses
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel

TOLERANCE = 1e-5
FLOAT_STEPS = 2.5e-7
PUBLISHED_PARAMETERS = 465_000_000
Make = Callable[..., TglModel]
ENCODER, NECK = "vision_encoder.backbone.", "vision_encoder.neck."


@pytest.fixture
def backbone() -> Sam3Backbone:
    found = random_backbone(kind="sam3")
    assert isinstance(found, Sam3Backbone)
    return found


@pytest.fixture
def pixels(pixels: Tensor) -> Tensor:
    """(6, 3, S, S): the clip, cut to SAM 3's size."""
    return pixels[..., :SAM3_SIZE, :SAM3_SIZE]


@torch.no_grad()
def test_features_equal_transformers_own(backbone: Sam3Backbone, pixels: Tensor) -> None:
    out = backbone.sam.get_image_features(pixels)
    own = backbone.encode(pixels)
    for level, theirs in zip(
        (own.fine, own.middle, own.coarse), out.fpn_hidden_states, strict=True
    ):
        assert torch.equal(level.flatten(2).permute(2, 0, 1), theirs)
    position = own.position.flatten(2).permute(2, 0, 1)
    assert torch.equal(position, out.fpn_position_encoding[-1][:, :1])


@torch.no_grad()
def test_frames_are_normalised_with_the_models_own_mean(
    backbone: Sam3Backbone, pixels: Tensor
) -> None:
    frames = (pixels.clamp(-1, 1) * 127.5 + 127.5).round().byte()
    pixels_of = sam3_pixels(frames)
    assert (pixels_of - (frames.float() / 255 - 0.5) / 0.5).abs().max() <= FLOAT_STEPS
    expected = backbone.encode(pixels_of)
    assert torch.equal(backbone.encode_frames(frames).coarse, expected.coarse)
    sam2 = random_backbone()
    assert (sam2.pixel_mean, sam2.pixel_std) != (backbone.pixel_mean, backbone.pixel_std)
    with pytest.raises(ValueError, match=r"expected torch\.uint8"):
        backbone.encode_frames(pixels)


def test_another_encoders_output_is_refused(backbone: Sam3Backbone) -> None:
    with pytest.raises(ValueError, match=r"expected \(N, 16, 32\)"):
        backbone.encode_from(torch.zeros(1, 25, 32))
    with pytest.raises(ValueError, match=r"expected \(N, 3, 56, 56\)"):
        backbone.encode(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ValueError, match=r"expected \(N, 3, 56, 56\)"):
        backbone.hidden_states(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))


@torch.no_grad()
def test_autocast_reads_rounded_hidden_states_as_whole_ones(backbone: Sam3Backbone) -> None:
    """Files of half the size lose nothing: the neck begins with convolutions, which round."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (2, 3, SAM3_SIZE, SAM3_SIZE), generator=generator).byte()
    with torch.autocast("cpu", torch.bfloat16):
        hidden = backbone.hidden_states(frames)
        whole, rounded = backbone.encode_from(hidden), backbone.encode_from(hidden.bfloat16())
    assert not torch.equal(hidden, hidden.bfloat16().float())
    for name, tensor in whole.as_tensors().items():
        assert torch.equal(tensor, rounded.as_tensors()[name]), name
        assert tensor.dtype == rounded.as_tensors()[name].dtype


def test_a_neck_with_other_levels_is_refused() -> None:
    config = tiny_sam3()
    config.vision_config.scale_factors = [2.0, 1.0, 0.5, 4.0]
    with pytest.raises(ConfigError, match=r"begin with \[2\.0, 1\.0, 0\.5\]"):
        build_backbone(config)


def published(folder: Path, backbone: Backbone, **more: Tensor) -> Path:
    """Save a tracker in the layout of the published SAM 3, with a little of a detector."""
    folder.mkdir()
    (folder / "config.json").write_text(tiny_sam3_video().to_json_string())
    weights = {
        "detector_model.detr_decoder.query_embed.weight": torch.zeros(3),
        "detector_model.vision_encoder.neck.fpn_layers.0.proj1.bias": torch.ones(128),
    }
    for name, tensor in backbone.sam.state_dict().items():
        if name.startswith(NECK):
            stored = f"tracker_neck.{name.removeprefix(NECK)}"
        elif name.startswith(ENCODER):
            stored = f"detector_model.{name}"
        else:
            stored = f"tracker_model.{name}"
        weights[stored] = tensor.contiguous()
    save_file(weights | more, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def assert_same(one: torch.nn.Module, two: torch.nn.Module) -> None:
    own, other = one.state_dict(), two.state_dict()
    assert own.keys() == other.keys()
    assert all(torch.equal(tensor, other[name]) for name, tensor in own.items())


def test_the_tracker_of_a_published_folder_is_loaded_without_the_detector(
    backbone: Sam3Backbone, tmp_path: Path
) -> None:
    loaded = load_backbone(published(tmp_path / "sam3", backbone))
    assert type(loaded) is Sam3Backbone
    assert_same(loaded, backbone)
    assert loaded.to_config()["model_type"] == "sam3_tracker_video"


@pytest.mark.parametrize(
    ("lost", "extra", "problem"),
    [
        ("tracker_model.no_object_pointer", None, r"1 missing \(no_object_pointer\)"),
        (
            "detector_model.vision_encoder.backbone.layer_norm.bias",
            None,
            r"1 missing \(vision_encoder\.backbone\.layer_norm\.bias\)",
        ),
        ("tracker_neck.fpn_layers.2.proj2.bias", None, r"1 missing \(vision_encoder\.neck"),
        (None, "tracker_model.mask_decoder.extra", r"1 unexpected \(mask_decoder\.extra\)"),
        (None, "tracker_neck.extra", r"1 unexpected \(vision_encoder\.neck\.extra\)"),
        (None, "extra", r"1 unexpected \(extra\)"),
    ],
)
def test_anything_else_of_a_published_folder_must_fit(
    backbone: Sam3Backbone, tmp_path: Path, lost: str | None, extra: str | None, problem: str
) -> None:
    folder = published(tmp_path / "sam3", backbone, **({extra: torch.zeros(1)} if extra else {}))
    if lost:
        weights = load_file(folder / "model.safetensors")
        del weights[lost]
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SchemaMismatch, match=problem) as caught:
        load_backbone(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("section", [None, [], "tracker"])
def test_a_published_folder_without_a_tracker_is_one_line(
    backbone: Sam3Backbone, tmp_path: Path, section: object
) -> None:
    folder = published(tmp_path / "sam3", backbone)
    document = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(document | {"tracker_config": section}))
    with pytest.raises(TglError, match="no section 'tracker_config'"):
        load_backbone(folder)


def test_a_folder_and_a_checkpoint_come_back_to_the_bit(make_model: Make, tmp_path: Path) -> None:
    model = make_model(kind="sam3")
    model.backbone.sam.save_pretrained(tmp_path / "backbone")
    save_checkpoint(tmp_path / "checkpoint", model, encoder="hash-16")
    assert_same(load_backbone(tmp_path / "backbone"), model.backbone)
    assert_same(load_checkpoint(tmp_path / "checkpoint"), model)


@torch.no_grad()
def test_sentences_in_a_batch_equal_one_by_one(
    make_model: Make, pixels: Tensor, text: TextBatch, relevant: Tensor
) -> None:
    model = make_model(kind="sam3")
    features = model.encode(pixels)
    together = model.clip(features, text, relevant)
    for row in range(len(text)):
        alone = model.clip(features, text[[row]], relevant[[row]])
        for name in ("mask_logits", "object_score_logits", "relevance_logits"):
            difference = getattr(together, name)[row] - getattr(alone, name)[0]
            assert difference.abs().max() <= TOLERANCE


def test_gradients_reach_all_that_is_trained_and_nothing_frozen(
    make_model: Make, pixels: Tensor, text: TextBatch, relevant: Tensor
) -> None:
    model = make_model(kind="sam3").train()
    out = model.clip(model.encode(pixels), text, relevant)
    targets = torch.zeros(3, 6, SAM3_SIZE, SAM3_SIZE)
    targets[:, :, 20:36, 10:40] = 1
    clip_losses(out, targets, relevant, LossConfig())["total"].backward()
    groups = model.parameter_groups()
    trained = groups["new"] | groups["pretrained"]
    assert not [name for name, parameter in trained.items() if parameter.grad is None]
    assert all(parameter.grad is None for parameter in groups["frozen"].values())


def test_the_compiled_parts_run(
    backbone: Sam3Backbone, pixels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All modules named for compilation exist, and encoding calls the first of them."""
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(module))
    backbone.compile_parts()
    assert len(compiled) == len(backbone.compiled_parts)
    called = []
    compiled[0].register_forward_hook(lambda *_: called.append(1))
    with torch.no_grad():
        backbone.encode(pixels[:1])
    assert called


def test_the_published_sizes() -> None:
    with torch.device("meta"):
        backbone = build_backbone(sam3_preset())
    assert (backbone.image_size, backbone.mask_size, backbone.channels) == (1008, 288, 256)
    count = sum(parameter.numel() for parameter in backbone.parameters())
    assert abs(count - PUBLISHED_PARAMETERS) < PUBLISHED_PARAMETERS // 100
    assert sam3_preset(504).memory_attention_rope_feat_sizes == [36, 36]
    with pytest.raises(ConfigError, match="not a multiple of 14"):
        sam3_preset(512)

"""SAM 2's image encoder in steps gives the numbers of transformers' own module."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_backbones import random_backbone, randomise
from transformers import Sam2VisionModel

from stages.core.model.backbones import backbone as module
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.families import build_backbone
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.presets import sam21_preset, toy_preset
from stages.core.model.backbones.steps import image_encoder
from stages.core.model.backbones.steps.image_encoder import runs_in_steps

TOLERANCE = 1e-5
SIZE, FRAMES = 64, 3
WINDOWS = (8, 4, 3, 2)
"""Of tiny encoders; features of 4 x 4 places do not fill windows of 3 x 3."""


def frames() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    shape = (FRAMES, 3, SIZE, SIZE)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def encoder_of(windows: tuple[int, ...], global_blocks: list[int]) -> Backbone:
    config = toy_preset(SIZE)
    hiera = config.vision_config.backbone_config
    hiera.window_size_per_stage, hiera.global_attention_blocks = list(windows), global_blocks
    backbone = build_backbone(config).eval()
    randomise(backbone, 0)
    return backbone


def encoded_by_module(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> FrameFeatures:
    with monkeypatch.context() as patch:
        patch.setattr(module, "runs_in_steps", lambda encoder: False)
        return backbone.encode_frames(frames())


@pytest.mark.parametrize("block_bytes", [1, image_encoder.BLOCK_BYTES])
@pytest.mark.parametrize(
    ("windows", "global_blocks"), [(WINDOWS, [3]), (WINDOWS, []), ((8, 4, 8, 4), [0, 3])]
)
@torch.no_grad()
def test_features_equal_those_of_the_module(
    windows: tuple[int, ...],
    global_blocks: list[int],
    block_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backbone = encoder_of(windows, global_blocks)
    monkeypatch.setattr(image_encoder, "BLOCK_BYTES", block_bytes)
    assert runs_in_steps(backbone.sam.vision_encoder)
    own, whole = backbone.encode_frames(frames()), encoded_by_module(backbone, monkeypatch)
    for name, level in own.as_tensors().items():
        expected = whole.as_tensors()[name]
        assert level.shape == expected.shape
        assert expected.abs().max() > 0
        assert (level - expected).abs().max() <= TOLERANCE


@torch.no_grad()
def test_positions_follow_weights_that_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are computed once, but for weights that are loaded later."""
    backbone = random_backbone()
    before = backbone.encode_frames(frames())
    backbone.sam.vision_encoder.backbone.pos_embed.mul_(2)
    after, whole = backbone.encode_frames(frames()), encoded_by_module(backbone, monkeypatch)
    assert (before.coarse - after.coarse).abs().max() > TOLERANCE
    assert (after.coarse - whole.coarse).abs().max() <= TOLERANCE


def test_gradients_and_other_encoders_take_the_module() -> None:
    encoder = random_backbone().sam.vision_encoder
    assert not runs_in_steps(encoder)
    with torch.no_grad():
        assert runs_in_steps(encoder)
        assert not runs_in_steps(random_backbone(kind="sam3").sam.vision_encoder)
        encoder.compile(backend="eager")
        assert not runs_in_steps(encoder)


@torch.no_grad()
def test_published_sizes_run_in_steps() -> None:
    """Without weights: the layout of each published encoder is one that the steps know."""
    for name in ("tiny", "base-plus", "large"):
        with torch.device("meta"):
            encoder: Any = Sam2VisionModel(sam21_preset(name).vision_config)
        assert runs_in_steps(encoder)

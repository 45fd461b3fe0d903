"""Backbones with random weights, and their presets."""

from __future__ import annotations

import pytest
import torch

from schemas.errors import ConfigError
from stages.core.model.backbones.families import build_backbone
from stages.core.model.backbones.presets import toy_preset


def test_random_backbones_share_one_position_matrix() -> None:
    sam = build_backbone(toy_preset(32)).sam
    own = sam.prompt_encoder.shared_embedding.positional_embedding
    assert torch.equal(own, sam.shared_image_embedding.positional_embedding)


def test_preset_sizes() -> None:
    with pytest.raises(ConfigError, match="not a multiple of 32"):
        toy_preset(100)

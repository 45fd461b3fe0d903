"""A tiny random model for commands that segment."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for what tests share: mistakes_world

import pytest
import torch
from mistakes_world import build_world

from stages.core.model.backbones.families import build_backbone
from stages.core.model.backbones.presets import toy_preset
from stages.core.model.checkpoint import save_checkpoint
from stages.core.model.config import ModelConfig
from stages.core.model.tgl import TglModel


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model that finds something everywhere."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = ModelConfig(adapter_width=16, adapter_heads=2, temporal_radius=2, relevance_radius=3)
    model = TglModel(config, build_backbone(toy_preset(64)), 16)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
        head = model.backbone.sam.mask_decoder.pred_obj_score_head
        head.proj_out.weight.mul_(20)
        head.proj_out.bias.add_(4.3)
    folder = tmp_path_factory.mktemp("model") / "checkpoint"
    save_checkpoint(folder, model, encoder="hash, mean pooling", with_head=False)
    return folder


@pytest.fixture(scope="session")
def world(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small folder of everything that commands read; to be read only."""
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        build_world(checkpoint, patch)
    return folder

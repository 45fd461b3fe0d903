"""Tiny random models: every parameter that starts at zero or one is made to matter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from stages.model.backbone import Backbone
from stages.model.config import ModelConfig
from stages.model.families import build_backbone
from stages.model.presets import toy_preset
from stages.model.text import TextBatch
from stages.model.tgl import TglModel

SIZE = 64
TEXT_DIM = 16
FRAMES = 6


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def randomise(module: torch.nn.Module, seed: int, scale: float = 0.05) -> None:
    """Add noise to all parameters, so that none is at its neutral start."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)


def random_backbone(seed: int = 0) -> Backbone:
    """A random tiny backbone in eval mode whose object scores have both signs."""
    torch.manual_seed(seed)
    backbone = build_backbone(toy_preset(SIZE)).eval()
    randomise(backbone, seed)
    with torch.no_grad():
        # Near 0 and nearly constant otherwise: stretch it, so that the gate opens and closes.
        head = backbone.sam.mask_decoder.pred_obj_score_head
        head.proj_out.weight.mul_(20)
        head.proj_out.bias.add_(0.53)
    return backbone


@pytest.fixture
def backbone() -> Backbone:
    return random_backbone()


@pytest.fixture
def make_model() -> Callable[..., TglModel]:
    """A function of config fields that gives a random model in eval mode."""

    def make(*, trained: bool = True, **fields: object) -> TglModel:
        torch.manual_seed(0)
        config = ModelConfig(adapter_width=16, adapter_heads=2, **fields)  # type: ignore[arg-type]
        model = TglModel(config, random_backbone(), TEXT_DIM)
        if trained:
            randomise(model.adapter, 3)
        return model.eval()

    return make


@pytest.fixture
def pixels() -> torch.Tensor:
    """(6, 3, 64, 64): noise with a bright square that moves."""
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(FRAMES, 3, SIZE, SIZE, generator=generator) * 0.5
    for t in range(FRAMES):
        frames[t, :, 20:36, 4 + 6 * t : 20 + 6 * t] += 1.5
    return frames


@pytest.fixture
def text() -> TextBatch:
    """Three sentences of 5, 3 and 4 tokens."""
    generator = torch.Generator().manual_seed(2)
    padding = torch.zeros(3, 5, dtype=torch.bool)
    padding[1, 3:] = True
    padding[2, 4:] = True
    motion = torch.zeros(3, 5, dtype=torch.bool)
    motion[:, 1] = True
    return TextBatch(
        torch.randn(3, 5, TEXT_DIM, generator=generator),
        padding,
        torch.randn(3, TEXT_DIM, generator=generator),
        motion,
    )


@pytest.fixture
def relevant() -> torch.Tensor:
    """(3, 6): two moments, none, and all frames."""
    rows = [[0, 1, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]]
    return torch.tensor(rows, dtype=torch.bool)

"""Tiny random models: every parameter that starts at zero or one is made to matter."""

from __future__ import annotations

import pytest
import torch

from stages.model.backbone import Backbone, build_backbone
from stages.model.presets import toy_preset

SIZE = 64


def randomise(module: torch.nn.Module, seed: int = 0, scale: float = 0.05) -> None:
    """Add noise to all parameters, so that none is at its neutral start."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)


def make_backbone(seed: int = 0) -> Backbone:
    """A random tiny backbone in eval mode whose objects are mostly visible."""
    torch.manual_seed(seed)
    backbone = build_backbone(toy_preset(SIZE)).eval()
    randomise(backbone, seed)
    return backbone


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def backbone() -> Backbone:
    return make_backbone()


@pytest.fixture
def pixels() -> torch.Tensor:
    """(6, 3, 64, 64) a moving bright square on noise."""
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(6, 3, SIZE, SIZE, generator=generator) * 0.3
    for t in range(6):
        frames[t, :, 20:36, 8 + 5 * t : 24 + 5 * t] += 1.5
    return frames

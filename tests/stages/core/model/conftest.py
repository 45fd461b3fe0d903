"""Tiny random models, and a clip with sentences for them."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from stages.core.engine.settings import settings_of
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.config import ModelConfig, SegmenterConfig
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel

sys.path.insert(0, str(Path(__file__).parent))
from tiny_backbones import SIZE, random_backbone, randomise

TEXT_DIM = 16
FRAMES = 6


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def backbone() -> Backbone:
    return random_backbone()


@pytest.fixture
def make_model() -> Callable[..., TglModel]:
    """A function of settings of both configs that gives a random model in eval mode.

    It is the caller's own, a copy of the one that was built first, as in :func:`random_backbone`.
    """

    def make(*, trained: bool = True, kind: str = "sam2", **fields: object) -> TglModel:
        model, state = _built(trained, kind, **fields)
        torch.set_rng_state(state)
        return copy.deepcopy(model)

    return make


@cache
def _built(trained: bool, kind: str, **fields: object) -> tuple[TglModel, torch.Tensor]:
    """The model, and the state of the generator once it is built."""
    torch.manual_seed(0)
    own = {name: fields.pop(name) for name in settings_of(SegmenterConfig) if name in fields}
    config = ModelConfig(adapter_width=16, adapter_heads=2, **fields)  # type: ignore[arg-type]
    segmenter = SegmenterConfig(**own)  # type: ignore[arg-type]
    model = TglModel(config, random_backbone(kind=kind), TEXT_DIM, segmenter)
    if trained:
        randomise(model.adapter, 3)
    return model.eval(), torch.get_rng_state()


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

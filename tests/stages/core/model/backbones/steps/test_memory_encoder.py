"""The memory encoder in eval mode gives the numbers of transformers' own."""

from __future__ import annotations

import pytest
import torch
from tiny_backbones import random_backbone
from torch import Tensor

from stages.core.model.backbones import backbone as module
from stages.core.model.backbones.backbone import Backbone

TOLERANCE = 1e-5
ITEMS, SIDE, CHANNELS = 5, 4, 128


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def remembered(backbone: Backbone, *, frames: int, rows: Tensor | None, gate: bool) -> Tensor:
    return backbone.remember(
        noise(frames, CHANNELS, SIDE, SIDE),
        noise(ITEMS, 4 * SIDE, 4 * SIDE),
        noise(ITEMS),
        gate=gate,
        binarise=False,
        rows=rows,
    )


@pytest.mark.parametrize("kind", ["sam2", "edgetam"])
@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize(
    ("frames", "rows"), [(1, [0, 0, 0, 0, 0]), (2, [0, 1, 1, 0, 1]), (ITEMS, None)]
)
@torch.no_grad()
def test_encoding_equals_the_module(
    kind: str, gate: bool, frames: int, rows: list[int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = random_backbone(kind=kind)
    place = None if rows is None else torch.tensor(rows)
    own = remembered(backbone, frames=frames, rows=place, gate=gate)
    monkeypatch.setattr(module, "is_compiled", lambda part: True)
    whole = remembered(backbone, frames=frames, rows=place, gate=gate)
    assert own.shape == whole.shape
    assert (own - whole).abs().max() <= TOLERANCE

"""The mask decoder in eval mode gives the numbers of transformers' own."""

from __future__ import annotations

import pytest
import torch
from tiny_backbones import random_backbone
from torch import Tensor

from stages.core.model.backbones import backbone as module
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.features import repeat_rows
from stages.core.model.backbones.records import Decoded

TOLERANCE = 1e-5
ITEMS, FRAMES, SIDE, CHANNELS = 5, 2, 4, 128


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def decoded(backbone: Backbone, *, multimask: bool, prompted: bool, rows: Tensor) -> Decoded:
    return backbone.decode(
        noise(ITEMS, CHANNELS, SIDE, SIDE),
        noise(FRAMES, CHANNELS // 4, 2 * SIDE, 2 * SIDE),
        noise(FRAMES, CHANNELS // 8, 4 * SIDE, 4 * SIDE),
        rows=rows,
        sparse=noise(ITEMS, 1, 3, CHANNELS) if prompted else None,
        dense=noise(ITEMS, CHANNELS, SIDE, SIDE) if prompted else None,
        multimask=multimask,
    )


@torch.no_grad()
def both_ways(
    monkeypatch: pytest.MonkeyPatch, *, multimask: bool, prompted: bool, stability: bool
) -> tuple[Decoded, Decoded]:
    """Masks as decoded here, and by the module itself."""
    backbone = random_backbone()
    backbone.sam.mask_decoder.dynamic_multimask_via_stability = stability
    rows = torch.tensor([0, 0, 1, 0, 1])
    own = decoded(backbone, multimask=multimask, prompted=prompted, rows=rows)
    monkeypatch.setattr(module, "is_compiled", lambda part: True)
    return own, decoded(backbone, multimask=multimask, prompted=prompted, rows=rows)


@pytest.mark.parametrize("prompted", [True, False])
@pytest.mark.parametrize("multimask", [True, False])
def test_decoding_equals_the_module(
    multimask: bool, prompted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, whole = both_ways(monkeypatch, multimask=multimask, prompted=prompted, stability=False)
    for name in ("candidates", "iou", "tokens", "object_score"):
        a, b = getattr(own, name), getattr(whole, name)
        assert a.shape == b.shape
        assert (a - b).abs().max() <= TOLERANCE, name


def test_one_mask_chosen_by_stability_comes_from_the_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the first mask is unstable, transformers takes the best of the other three."""
    own, whole = both_ways(monkeypatch, multimask=False, prompted=True, stability=True)
    assert torch.equal(own.candidates, whole.candidates)


def test_a_compiled_module_runs_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = random_backbone()
    called = []
    for part in (backbone.sam.mask_decoder, backbone.sam.memory_encoder):
        monkeypatch.setattr(part, "_compiled_call_impl", None)
        hook = lambda part, *more: called.append(type(part).__name__)  # noqa: E731
        part.register_forward_hook(hook)
    rows = torch.zeros(ITEMS, dtype=torch.long)
    for _ in range(2):
        with torch.no_grad():
            result = decoded(backbone, multimask=True, prompted=False, rows=rows)
            backbone.remember(
                noise(1, CHANNELS, SIDE, SIDE),
                result.mask_logits,
                result.object_score,
                gate=True,
                binarise=False,
                rows=rows,
            )
        assert len(called) in (0, 2)
        for part in (backbone.sam.mask_decoder, backbone.sam.memory_encoder):
            part._compiled_call_impl = part._call_impl
    assert len(called) == 2


@torch.no_grad()
def test_one_frame_is_not_copied() -> None:
    level = noise(1, 3, 2, 2)
    repeated = repeat_rows(level, torch.zeros(4, dtype=torch.long))
    assert repeated.shape == (4, 3, 2, 2)
    assert repeated.data_ptr() == level.data_ptr()

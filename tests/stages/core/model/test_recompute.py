"""Recomputed activations: the same gradients, dropout included, and less that is kept for them."""

from __future__ import annotations

import pytest
import torch
from tiny_backbones import SIZE, random_backbone
from torch import Tensor

from stages.core.model.config import ModelConfig
from stages.core.model.cost.meters import SavedBytes
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel

FRAMES, WORDS, TEXT_DIM = 4, 3, 16
GUIDED = torch.tensor([[False, True, True, False]])


def gradients(model: TglModel) -> tuple[dict[str, Tensor], int]:
    """Gradients of a clip's masks, and the bytes that were kept for them."""
    torch.manual_seed(3)
    model.zero_grad(set_to_none=True)
    pixels = torch.randint(0, 256, (FRAMES, 3, SIZE, SIZE), dtype=torch.uint8)
    features = model.encode_frames(pixels)
    tokens = torch.randn(1, WORDS, TEXT_DIM)
    flags = torch.zeros(1, WORDS, dtype=torch.bool)
    saved = SavedBytes(model)
    with saved.counting():
        out = model.clip(features, TextBatch(tokens, flags, tokens[:, 0], flags), GUIDED)
        loss = out.mask_logits.square().mean() + out.object_score_logits.sum()
    loss.backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return found, saved.total


def test_recomputed_activations_give_the_same_gradients(one_thread: None) -> None:
    torch.manual_seed(0)
    config = ModelConfig(adapter_width=16, adapter_heads=2, adapter_layers=1, track_width=0)
    model = TglModel(config, random_backbone(), TEXT_DIM).train()
    kept, bytes_kept = gradients(model)
    model.backbone.recompute_activations()
    again, bytes_again = gradients(model)
    assert kept.keys() == again.keys()
    assert any("memory_attention" in name for name in kept)
    assert any("memory_encoder" in name for name in kept)
    for name, gradient in kept.items():
        assert torch.equal(gradient, again[name]), name
    assert bytes_again < bytes_kept / 2


def test_nothing_is_recomputed_without_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = random_backbone()
    backbone.recompute_activations()
    module = "stages.core.model.backbones.wrapped.checkpoint"
    monkeypatch.setattr(module, lambda *_, **__: pytest.fail("recomputed"))
    with torch.no_grad():
        backbone.remember(
            torch.zeros(1, backbone.channels, 4, 4),
            torch.zeros(1, 16, 16),
            torch.zeros(1),
            gate=False,
            binarise=False,
        )

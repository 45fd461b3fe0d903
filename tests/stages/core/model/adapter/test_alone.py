"""The adapter's blocks for one sentence at a time give the numbers of the blocks themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from stages.core.model.adapter import adapter as module
from stages.core.model.adapter import alone
from stages.core.model.adapter.alone import reads_alone
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel

TOLERANCE = 1e-5
FRAMES = 12


@pytest.mark.parametrize("hidden_bytes", [1, alone.HIDDEN_BYTES])
@torch.no_grad()
def test_tokens_equal_those_of_the_blocks(
    make_model: Callable[..., TglModel],
    text: TextBatch,
    hidden_bytes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make_model(adapter_layers=2, temporal_radius=2)
    generator = torch.Generator().manual_seed(0)
    for parameter in model.adapter.parameters():  # norms and biases are to matter
        parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    features = model.encode(torch.randn(FRAMES, 3, 64, 64, generator=generator))
    times = torch.arange(FRAMES) * 2
    monkeypatch.setattr(alone, "HIDDEN_BYTES", hidden_bytes)
    own, _ = model.encode_clip(features, text, times=times)
    assert len(text) > 1
    monkeypatch.setattr(module, "reads_alone", lambda x: False)
    together, _ = model.encode_clip(features, text, times=times)
    for name in ("tokens", "heatmap", "frame"):
        found, expected = getattr(own, name), getattr(together, name)
        assert found.shape == expected.shape
        assert (found - expected).abs().max() <= TOLERANCE * max(1, expected.abs().max())


def test_gradients_and_half_precision_take_the_blocks() -> None:
    x = torch.zeros(1)
    assert not reads_alone(x)
    with torch.no_grad():
        assert reads_alone(x)
        assert not reads_alone(x.bfloat16())
        with torch.autocast("cpu", torch.bfloat16):
            assert not reads_alone(x)

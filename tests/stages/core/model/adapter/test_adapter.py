"""The adapter over clips."""

from __future__ import annotations

from collections.abc import Callable

import torch

from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel


@torch.no_grad()
def test_a_block_with_its_halo_is_what_the_whole_clip_gives(
    make_model: Callable[..., TglModel], text: TextBatch
) -> None:
    model = make_model(adapter_layers=2, temporal_radius=2)
    generator = torch.Generator().manual_seed(0)
    features = model.encode(torch.randn(24, 3, 64, 64, generator=generator))
    whole, _ = model.encode_clip(features, text)
    first, last, halo = 10, 14, model.adapter.halo
    assert halo == 2 * 2 + 4
    part = slice(first - halo, last + halo)
    block, _ = model.encode_clip(features[part], text, times=torch.arange(24)[part])
    inner = block.tokens[:, halo:-halo]
    assert (inner - whole.tokens[:, first:last]).abs().max() <= 1e-5
    assert (block.tokens[:, 0] - whole.tokens[:, first - halo]).abs().max() > 1e-5

"""The adapter over clips."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from stages.core.model.adapter.adapter import COMPARED, DIFFERENCES
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


@pytest.mark.parametrize("gap_codes", ["masks", "all"])
@torch.no_grad()
def test_relevance_reads_the_time_between_frames_only_if_told(
    make_model: Callable[..., TglModel], text: TextBatch, gap_codes: str
) -> None:
    model = make_model(gap_codes=gap_codes)
    if gap_codes == "masks":
        torch.nn.init.normal_(model.adapter.gap_out.weight)
    generator = torch.Generator().manual_seed(0)
    features = model.encode(torch.randn(8, 3, 64, 64, generator=generator))
    times = [torch.arange(8), torch.arange(8) * 3, torch.tensor([0, 1, 2, 9, 10, 11, 12, 30])]
    logits = [model.relevance(features, text, times=time) for time in times]
    clips = [model.encode_clip(features, text, times=time)[0] for time in times]
    for other in (1, 2):
        changed = float((logits[other] - logits[0]).abs().max())
        assert changed == 0 if gap_codes == "masks" else changed > 1e-4
        assert (clips[other].tokens - clips[0].tokens).abs().max() > 1e-4


@torch.no_grad()
def test_a_code_stands_for_neighbours_beyond_the_clip(make_model: Callable[..., TglModel]) -> None:
    model = make_model(neighbours="code")
    adapter = model.adapter
    generator = torch.Generator().manual_seed(0)
    features = model.encode(torch.randn(12, 3, 64, 64, generator=generator))
    times = torch.arange(12).unsqueeze(0)
    before = adapter.embed_frames(features, times, times)
    torch.nn.init.ones_(adapter.missing_in.weight)
    changed = (adapter.embed_frames(features, times, times) - before).flatten(2).abs().amax(2)[0]
    assert (changed[4:8] == 0).all()
    assert (changed[:4] > 0).all()
    assert (changed[8:] > 0).all()


@torch.no_grad()
def test_a_hidden_neighbour_is_like_one_beyond_the_clip(
    make_model: Callable[..., TglModel],
) -> None:
    """Hiding what a cut through the clip would remove gives the embeddings of its two parts."""
    adapter = make_model(neighbours="code", gap_codes="masks").adapter
    generator = torch.Generator().manual_seed(0)
    features = make_model().encode(torch.randn(12, 3, 64, 64, generator=generator))
    times = torch.arange(12).unsqueeze(0)
    hidden = torch.zeros(1, 12, COMPARED, dtype=torch.bool)
    for number, apart in enumerate(DIFFERENCES):
        hidden[:, 6 : 6 + apart, 2 * number] = True  # before
        hidden[:, 6 - apart : 6, 2 * number + 1] = True  # after
    cut = adapter.embed_frames(features, times, times, hidden)
    parts = [adapter.embed_frames(features, times[:, s], times[:, s]) for s in HALVES]
    assert (cut - torch.cat(parts, dim=1)).abs().max() <= 1e-5
    assert (cut - adapter.embed_frames(features, times, times)).abs().max() > 1e-4


HALVES = (slice(0, 6), slice(6, 12))

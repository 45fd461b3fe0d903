"""What the adapter sees inside tracks."""

import pytest
import torch

from stages.core.model.adapter.adapter import Adapter, EncodedText
from stages.core.model.config import ModelConfig
from stages.core.model.track_head.evidence import (
    ahead_of_others,
    gather_evidence,
    highest_of_others,
)

WIDTH, FRAMES, PLACES, SIDE = 8, 5, 4, 16


@pytest.fixture
def adapter() -> Adapter:
    torch.manual_seed(0)
    return Adapter(ModelConfig(adapter_width=WIDTH, adapter_layers=1, adapter_heads=2), 32, 6)


def text() -> EncodedText:
    one = torch.ones(2, 1, dtype=torch.bool)
    drawn = [torch.randn(2, WIDTH) for _ in range(2)]
    return EncodedText(torch.randn(2, 1, WIDTH), one, *drawn, torch.randn(2, 6))


def test_tokens_are_averages_inside_each_track(adapter: Adapter) -> None:
    tokens = torch.randn(2, FRAMES, WIDTH, PLACES, PLACES)
    masks = torch.zeros(2, FRAMES, SIDE, SIDE)
    masks[0, :, :4, :4] = 1  # exactly the place (0, 0) of the coarse grid
    masks[1, :, 4:12, :4] = 1  # two places
    with torch.no_grad():
        found = gather_evidence(
            adapter, [tokens], torch.zeros(2, FRAMES), text(), lambda f: masks, torch.zeros(2, 3)
        )
    assert torch.allclose(found.tokens[:, 0], tokens[..., 0, 0], atol=1e-6)
    two = (tokens[..., 1, 0] + tokens[..., 2, 0]) / 2
    assert torch.allclose(found.tokens[:, 1], two, atol=1e-6)
    assert found.visible.all()


@torch.no_grad()
def test_blocks_give_the_same_as_the_whole_video(adapter: Adapter) -> None:
    tokens = torch.randn(2, FRAMES, WIDTH, PLACES, PLACES)
    masks = (torch.rand(3, FRAMES, SIDE, SIDE) > 0.6).float()
    relevance, words, looks = torch.randn(2, FRAMES), text(), torch.zeros(3, 3)

    def masks_of(frames: object) -> torch.Tensor:
        return masks[:, list(frames)]  # type: ignore[call-overload]

    whole = gather_evidence(adapter, [tokens], relevance, words, masks_of, looks)
    parts = gather_evidence(adapter, tokens.split(2, dim=1), relevance, words, masks_of, looks)
    for name in ("tokens", "cues", "geometry"):
        assert torch.allclose(getattr(whole, name), getattr(parts, name), atol=1e-6), name


def test_the_highest_of_the_others() -> None:
    values = torch.tensor([[[3.0], [5.0], [1.0]]])
    assert highest_of_others(values).flatten().tolist() == [5, 3, 5]
    assert ahead_of_others(values).flatten().tolist() == [-2, 2, -4]
    assert ahead_of_others(values[:, :1]).tolist() == [[[0]]]
    tied = torch.tensor([[[2.0], [2.0]]])
    assert highest_of_others(tied).flatten().tolist() == [2, 2]

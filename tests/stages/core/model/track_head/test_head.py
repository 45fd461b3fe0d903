"""The track head: what may change its answers and what may not."""

from dataclasses import replace

import pytest
import torch

from stages.core.model.track_head.evidence import CUES, TrackEvidence
from stages.core.model.track_head.geometry import GEOMETRY_WIDTH
from stages.core.model.track_head.head import TrackHead

CHANNELS, LOOK, WORDS = 8, 12, 6
SENTENCES, TRACKS, FRAMES = 2, 3, 7


@pytest.fixture
def head() -> TrackHead:
    torch.manual_seed(0)
    return TrackHead(CHANNELS, LOOK, WORDS, 16).eval()


def evidence(tracks: int = TRACKS, seed: int = 1) -> TrackEvidence:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return TrackEvidence(
        tokens=draw(SENTENCES, tracks, FRAMES, CHANNELS),
        cues=draw(SENTENCES, tracks, FRAMES, CUES),
        geometry=draw(tracks, FRAMES, GEOMETRY_WIDTH),
        looks=draw(tracks, LOOK),
        visible=torch.ones(tracks, FRAMES, dtype=torch.bool),
        text=draw(SENTENCES, 2 * CHANNELS),
        sentences=draw(SENTENCES, WORDS),
    )


@torch.no_grad()
def test_shapes(head: TrackHead) -> None:
    match, relevance = head(evidence())
    assert match.shape == (SENTENCES, TRACKS)
    assert relevance.shape == (SENTENCES, TRACKS, FRAMES)


@torch.no_grad()
def test_the_order_of_the_tracks_does_not_matter(head: TrackHead) -> None:
    given, order = evidence(), [2, 0, 1]
    moved = replace(
        given,
        tokens=given.tokens[:, order],
        cues=given.cues[:, order],
        geometry=given.geometry[order],
        looks=given.looks[order],
        visible=given.visible[order],
    )
    for one, other in zip(head(given), head(moved), strict=True):
        assert torch.allclose(one[:, order], other, atol=1e-5)


@torch.no_grad()
def test_sentences_do_not_see_each_other(head: TrackHead) -> None:
    given = evidence()
    alone = replace(
        given,
        tokens=given.tokens[:1],
        cues=given.cues[:1],
        text=given.text[:1],
        sentences=given.sentences[:1],
    )
    for one, other in zip(head(given), head(alone), strict=True):
        assert torch.allclose(one[:1], other, atol=1e-5)


@torch.no_grad()
def test_a_track_is_compared_with_the_others(head: TrackHead) -> None:
    given = evidence()
    changed = replace(given, tokens=given.tokens.clone())
    changed.tokens[:, 1] *= -1
    assert not torch.allclose(head(given)[0][:, 0], head(changed)[0][:, 0], atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("tracks", [1, 2])
def test_a_track_that_is_never_visible_gives_numbers(head: TrackHead, tracks: int) -> None:
    given = evidence(tracks)
    hidden = replace(given, visible=torch.zeros_like(given.visible))
    assert all(torch.isfinite(found).all() for found in head(hidden))


def test_a_few_examples_are_learned() -> None:
    torch.manual_seed(0)
    head, given = TrackHead(CHANNELS, LOOK, WORDS, 16, dropout=0.0), evidence()
    truth = torch.tensor([[1.0, 0, 0], [0, 1, 1]])
    optimizer = torch.optim.Adam(head.parameters(), 1e-2)
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    first = loss(head(given)[0], truth).item()
    for _ in range(30):
        optimizer.zero_grad()
        value = loss(head(given)[0], truth)
        value.backward()
        optimizer.step()
    assert value.item() < 0.1 * first

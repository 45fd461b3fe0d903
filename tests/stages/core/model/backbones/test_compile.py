"""What --compile compiles, counted with a compiler that returns the graph as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from tiny_backbones import random_backbone

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.records import MemoryTokens
from stages.core.model.backbones.steps.attention import EAGER
from stages.core.model.backbones.steps.layers import is_compiled
from stages.core.model.original import OriginalWeights

TOLERANCE = 1e-5
SIDE = (4, 4)
PLACES = SIDE[0] * SIDE[1]
POINTERS = 4
STEPS = 3
"""Compiled parts of each layer: what comes before, keys, what comes after."""
GRAPHS = 2 * STEPS + 1
"""Each with the numbers of the first call, then with any; and keys without pointers."""


class Counting:
    """A backend of ``torch.compile``: counts graphs, and their calls."""

    def __init__(self) -> None:
        self.graphs = self.calls = 0

    def __call__(self, graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Callable[..., object]:
        self.graphs += 1

        def run(*inputs: torch.Tensor) -> object:
            self.calls += 1
            return graph.forward(*inputs)

        return run


@pytest.fixture
def counting(one_thread: None) -> Iterator[Counting]:
    torch.compiler.reset()
    yield Counting()
    torch.compiler.reset()


def memory(frames: int, groups: int, owner: tuple[int, ...] | None) -> MemoryTokens:
    generator = torch.Generator().manual_seed(frames)
    shape = (frames * PLACES + POINTERS, groups, 64)
    values, places = (torch.randn(shape, generator=generator) for _ in range(2))
    return MemoryTokens(values, places, POINTERS, owner)


def attended(backbone: Backbone) -> list[torch.Tensor]:
    """Memory attention as inference calls it, with different numbers of everything."""
    generator = torch.Generator().manual_seed(0)
    position = torch.randn(1, 128, *SIDE, generator=generator)
    found = []
    for frames, owner in ((2, (0, 0, 1)), (3, (1, 0, 2, 1)), (5, (0, 1, 0, 1, 1))):
        coarse = torch.randn(len(owner), 128, *SIDE, generator=generator)
        tokens = memory(frames, max(owner) + 1, owner)
        found.append(backbone.attend(coarse, position, tokens))
    coarse = torch.randn(5, 128, *SIDE, generator=generator)
    found.append(backbone.attend_ragged(coarse, position, [memory(2, 2, None), memory(4, 3, None)]))
    return found


@torch.no_grad()
def test_attention_over_shared_memories_goes_through_what_is_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a compiler that does nothing but count calls, which takes no time."""
    calls: list[str] = []

    def compile_(step: Callable[..., object], **options: object) -> Callable[..., object]:
        assert options == {"mode": "default"}

        def compiled(*args: object) -> object:
            calls.append(step.__name__)
            return step(*args)

        return compiled

    backbone = random_backbone().eval()
    expected = attended(backbone)
    assert not calls
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **_: None)
    monkeypatch.setattr(torch, "compile", compile_)
    backbone.compile_parts(mode="default")
    found = attended(backbone)
    layers = len(backbone.sam.memory_attention.layers)
    assert calls == ["_begin", "_keys", "_end"] * layers * len(found)
    assert all(map(torch.equal, found, expected))


@pytest.mark.slow
@torch.no_grad()
def test_attention_over_shared_memories_is_compiled_once_for_all_layers_and_numbers(
    counting: Counting,
) -> None:
    plain, backbone = random_backbone(), random_backbone()
    backbone.load_state_dict(plain.state_dict())
    expected = attended(plain.eval())
    backbone.eval().compile_parts(backend=counting)
    found = attended(backbone)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() <= TOLERANCE
    layers = len(backbone.sam.memory_attention.layers)
    assert counting.calls == STEPS * layers * len(found)
    assert counting.graphs <= GRAPHS
    assert layers > 1


@torch.no_grad()
def test_a_backbone_that_tracks_is_compiled_too(counting: Counting) -> None:
    """torch's copies of compiled modules are not; the image encoder is shared, not copied."""
    backbone = random_backbone().eval()
    backbone.compile_parts(backend=counting)
    encoder = backbone.image_encoder._compiled_call_impl
    tracker = OriginalWeights(backbone).tracker(backbone)
    assert tracker.image_encoder is backbone.image_encoder
    assert tracker.image_encoder._compiled_call_impl is encoder
    assert is_compiled(tracker.sam.memory_attention)
    assert tracker.layer_steps is not EAGER

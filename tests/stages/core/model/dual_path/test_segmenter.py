"""Work that unguided items of one video share is done once, and gives the same masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.memory import read_nearest
from stages.core.model.backbones.records import Decoded, MemoryTokens
from stages.core.model.config import SegmenterConfig
from stages.core.model.dual_path import segmenter as module
from stages.core.model.dual_path.segmenter import Segmenter
from stages.core.model.dual_path.tracks import Item, plan_tracks

TOLERANCE = 1e-5
FRAMES, SENTENCES = 9, 3
GUIDED = {0: range(3, 6), 1: range(4, 6), 2: range(7, 9)}
"""Guided frames of each sentence; others read memories of before, of after, or of both."""

Masks = dict[tuple[int, int], Tensor]


class PlainPath:
    """A ``LanguagePath`` without a sentence."""

    def __init__(self, backbone: Backbone):
        self._backbone = backbone

    def segment(
        self, items: Sequence[Item], features: FrameFeatures, memory: MemoryTokens | None
    ) -> Decoded:
        return self._backbone.segment(features, memory)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def segmented(backbone: Backbone, written: str, *, one_video: bool) -> tuple[Masks, list[int]]:
    """Masks by sentence and frame, and how many frames were fetched each time."""
    features = backbone.encode(noise(FRAMES, 3, backbone.image_size, backbone.image_size))
    relevant = np.zeros((SENTENCES, FRAMES), bool)
    for row, frames in GUIDED.items():
        relevant[row, list(frames)] = True
    fetched: list[int] = []

    def fetch(items: Sequence[Item]) -> FrameFeatures:
        fetched.append(len(items))
        return features[[item.frame for item in items]]

    config = SegmenterConfig(irrelevant_memory=written, memory_frames=2)
    segmenter = Segmenter(backbone, config, one_video=one_video)
    tracks = plan_tracks(relevant, np.arange(FRAMES), per_moment=True)
    masks = {}
    for items, decoded in segmenter.run(tracks, fetch, PlainPath(backbone)):
        for item, mask in zip(items, decoded.mask_logits, strict=True):
            masks[item.expression, item.frame] = mask
    return masks, fetched


@pytest.mark.parametrize("written", ["none", "all"])
@torch.no_grad()
def test_items_of_one_frame_share_it(backbone: Backbone, written: str) -> None:
    own, fetched = segmented(backbone, written, one_video=True)
    alone, each = segmented(backbone, written, one_video=False)
    assert own.keys() == alone.keys()
    assert len(own) == FRAMES * SENTENCES
    assert sum(each) == FRAMES * SENTENCES > sum(fetched)
    for place, mask in own.items():
        assert (mask - alone[place]).abs().max() <= TOLERANCE


@torch.no_grad()
def test_frames_beyond_the_memories_choose_them_once(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each item still gets what it would choose itself."""
    chosen: list[int] = []

    def read(bank: object, frame: int, *others: object) -> object:
        chosen.append(frame)
        return read_nearest(bank, frame, *others)  # type: ignore[arg-type]

    expected = segmented(backbone, "none", one_video=True)[0]
    monkeypatch.setattr(module, "read_nearest", read)
    found = segmented(backbone, "none", one_video=True)[0]
    guided = sum(map(len, GUIDED.values()))
    ends = 5  # before and after the first two moments, and before the last one
    assert len(chosen) == guided + ends
    monkeypatch.setattr(Segmenter, "_reads", each_alone(backbone))
    for place, mask in segmented(backbone, "none", one_video=True)[0].items():
        assert torch.equal(mask, expected[place])
        assert torch.equal(mask, found[place])


def each_alone(backbone: Backbone) -> Callable[..., object]:
    def reads(_: Segmenter, items: Sequence[Item]) -> list[object]:
        return [read_nearest(item.track.bank, item.frame, 2, backbone) for item in items]

    return reads

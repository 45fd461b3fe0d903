"""The masks that find object tracks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from stages.core.model.adapter.cache import AdapterCache
from stages.core.model.object_tracks.guided import guided_masks
from stages.core.model.object_tracks.records import SentenceMasks
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel
from stages.core.model.video_features import FramesInMemory

GUIDED = np.array([[1, 1, 1, 0, 1, 1], [0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 0, 0]], bool)


@torch.no_grad()
def find(model: TglModel, pixels: Tensor, text: TextBatch, gate: str) -> list[SentenceMasks]:
    """Guided masks of three sentences, the second of which has no target."""
    features = FramesInMemory(model.encode(pixels))
    tokens = AdapterCache(model, features, model.adapter.text(text), 10**9)
    config = replace(model.segmenter, object_gate=gate)
    relevance = np.ones(GUIDED.shape, np.float32)
    return guided_masks(model, tokens, GUIDED, relevance, config, by_time=False)


def test_frames_without_a_visible_object_blank_neither_masks_nor_memories(
    make_model: Callable[..., TglModel], pixels: Tensor, text: TextBatch
) -> None:
    model = make_model()
    gated, free = (find(model, pixels, text, gate) for gate in ("always", "never"))
    low = 0
    for row, (one, other) in enumerate(zip(gated, free, strict=True)):
        frames = np.flatnonzero(GUIDED[row]).tolist()
        assert np.array_equal(one.scores, other.scores, equal_nan=True)
        assert torch.equal(one.maps.logits(frames), other.maps.logits(frames))
        low += int((one.scores[frames] <= 0).sum())
        blank = one.maps.logits(frames) <= -8
        assert not blank.flatten(1).all(1).any()
    assert low, "every object counts as visible, so nothing is shown"


def test_only_guided_frames_are_segmented(
    make_model: Callable[..., TglModel], pixels: Tensor, text: TextBatch
) -> None:
    for row, found in enumerate(find(make_model(), pixels, text, "eval")):
        assert np.array_equal(np.isfinite(found.scores), GUIDED[row])
        others = np.flatnonzero(~GUIDED[row]).tolist()
        assert (found.maps.logits(others) == -8).all()

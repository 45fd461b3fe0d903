"""Whole tracks: quality, and those that are one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stages.core.model.tracking.overlaps import (
    MATCH_SIDE,
    merged_groups,
    pairwise_iou,
    small_masks,
)
from stages.zero_shot.track.propagation import MaskTrack


def clip(*lefts: int | None) -> Tensor:
    """(n, 8, 8) a square of 2 x 2 at each place; None shows nothing."""
    masks = torch.zeros(len(lefts), 8, 8, dtype=torch.bool)
    for frame, left in enumerate(lefts):
        if left is not None:
            masks[frame, 2:4, left : left + 2] = True
    return masks


def test_tracks_that_become_one_another_are_one() -> None:
    small = torch.stack([clip(0, 2, 4, 6), clip(0, 2, 4, None), clip(6, 4, 2, 0), clip(0, 2, 4, 6)])
    assert merged_groups(small, [1, 0, 2, 3], 0.7) == [[1, 0, 3], [2]]
    assert merged_groups(small, [0, 1, 2, 3], 0.8) == [[0, 3], [1], [2]]
    assert merged_groups(torch.zeros(0, 0, 1, 1), [], 0.7) == []


def test_empty_tracks_do_not_merge() -> None:
    small = torch.stack([clip(None, None), clip(None, None)])
    assert merged_groups(small, [0, 1], 0.5) == [[0], [1]]


def test_quality_is_the_mean_over_visible_frames() -> None:
    track = MaskTrack(counts={0: b"", 3: b""}, areas={0: 1, 3: 1}, sure=1.2)
    assert track.quality == 0.6
    assert MaskTrack().quality == 0


def test_iou_of_pairs_is_exact() -> None:
    masks = torch.stack([clip(0)[0], clip(1)[0], clip(5)[0]])
    iou = pairwise_iou(masks, masks[:2])
    assert iou.flatten().tolist() == pytest.approx([1, 1 / 3, 1 / 3, 1, 0, 0])


def test_large_masks_are_compared_at_a_lower_resolution() -> None:
    logits = torch.full((1, 512, 512), -5.0)
    logits[:, :256] = 5.0
    small = small_masks(logits)
    assert small.shape == (1, MATCH_SIDE, MATCH_SIDE)
    assert small.float().mean() == 0.5
    assert small_masks(logits[:, :64, :64]).shape == (1, 64, 64)

"""Masks resized and compared."""

from __future__ import annotations

import pytest
import torch

from stages.core.model.masks import mask_iou, resize_masks

SIDE = 8


def test_iou_counts_pixels_and_both_empty_is_one() -> None:
    masks = torch.zeros(3, SIDE, SIDE, dtype=torch.bool)
    masks[0, : SIDE // 2] = True
    truth = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    truth[:, : SIDE // 2] = True  # the left half against the upper one
    assert mask_iou(masks, truth).tolist() == [pytest.approx(1 / 3), 0.0, 0.0]
    assert mask_iou(masks, torch.zeros_like(truth)).tolist() == [0.0, 1.0, 1.0]


def test_masks_of_any_size_become_shares() -> None:
    large = torch.zeros(1, 1, 16, 32, dtype=torch.bool)
    large[..., :8, :2] = True
    small = resize_masks(large, SIDE)
    assert float(small[0, 0, 0, 0]) == pytest.approx(0.5)
    assert float(small.sum()) == pytest.approx(4 * 0.5)

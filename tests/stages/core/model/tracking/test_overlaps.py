"""Overlaps of masks are exact, also where the network runs in bfloat16."""

from __future__ import annotations

import torch

from stages.core.model.tracking.overlaps import pairwise_iou


def test_iou_is_exact_under_autocast() -> None:
    masks = torch.zeros(2, 128, 128, dtype=torch.bool)
    masks[0, :, :101] = True
    masks[1, :, :100] = True
    with torch.autocast("cpu", torch.bfloat16):
        found = pairwise_iou(masks, masks)
    assert found.tolist() == [[1, torch.tensor(100 / 101).item()], [found[0, 1], 1]]

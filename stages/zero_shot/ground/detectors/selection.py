"""The best boxes of a detector's many, without near copies of each other."""

from __future__ import annotations

import torch
from torch import Tensor


def outside(corners: Tensor, extent: tuple[float, float]) -> Tensor:
    """Bool (...): whether boxes (..., 4) have no area in a frame from (0, 0) to `extent` (x, y)."""
    high = torch.tensor([*extent, *extent], device=corners.device, dtype=corners.dtype)
    return ~(_area(torch.minimum(corners.clamp(min=0), high)) > 0)  # nor has one that is NaN


def best_boxes(
    scores: Tensor, corners: Tensor, count: int, overlap: float
) -> tuple[Tensor, Tensor]:
    """Choose boxes greedily by score, none of which overlaps a better one too much.

    Args:
        scores: (P, N), any values that order the boxes of a row; -inf is never chosen.
        corners: (P, N, 4): x0, y0, x1, y1 in any unit.
        count: K, most boxes per row.
        overlap: highest IoU of two chosen boxes; 1 keeps copies too.

    Returns:
        Indices (P, K) of the chosen boxes, best first, and bool (P, K): False where a row has
        fewer (the index is then meaningless).
    """
    left = scores.float().clone()
    count = min(count, left.shape[1])
    chosen, valid = [], []
    for _ in range(count):
        score, best = left.max(dim=1)
        chosen.append(best)
        valid.append(~torch.isneginf(score))
        index = best[:, None, None].expand(-1, 1, 4)
        near = _iou(corners.gather(1, index), corners) > overlap  # (P, N)
        left = left.masked_fill(near, -torch.inf)
        left.scatter_(1, best[:, None], -torch.inf)
    return torch.stack(chosen, dim=1), torch.stack(valid, dim=1)


def _iou(one: Tensor, many: Tensor) -> Tensor:
    """IoU of a box (P, 1, 4) with each of (P, N, 4); 0 where both are empty."""
    low = torch.maximum(one[..., :2], many[..., :2])
    high = torch.minimum(one[..., 2:], many[..., 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    union = _area(one) + _area(many) - shared
    return torch.where(union > 0, shared / union, torch.zeros_like(shared))


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)

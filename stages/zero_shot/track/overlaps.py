"""Masks at a low resolution, which is enough to tell objects apart, and their overlaps."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

MATCH_SIDE = 128
"""Masks are compared at most at this side: 2 KB each, packed."""


def small_masks(logits: Tensor) -> Tensor:
    """(B, s, s) mask logits to bool (B, m, m) with m at most ``MATCH_SIDE``."""
    if logits.shape[-1] > MATCH_SIDE:
        size = (MATCH_SIDE, MATCH_SIDE)
        logits = F.interpolate(logits.float().unsqueeze(1), size=size, mode="area")[:, 0]
    return logits > 0


def pairwise_iou(masks: Tensor, others: Tensor) -> np.ndarray:
    """float32 (A, B) IoU of bool masks (A, ...) and (B, ...); 0 where both are empty."""
    one, other = masks.flatten(1).float(), others.flatten(1).float()
    with torch.autocast(one.device.type, enabled=False):
        both = one @ other.T  # exact in float32: the counts are far below 2 ** 24
    either = one.sum(dim=1)[:, None] + other.sum(dim=1)[None] - both
    return (both / either.clamp(min=1)).cpu().numpy()

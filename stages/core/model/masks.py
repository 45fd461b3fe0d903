"""Masks as tensors: to another size, and compared."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_masks(masks: Tensor, side: int) -> Tensor:
    """(E, T, H, W) masks to float (E, T, side, side), each pixel the fraction that was covered."""
    return F.interpolate(masks.float(), size=(side, side), mode="area")


def enlarge_masks(logits: Tensor, height: int, width: int) -> Tensor:
    """(B, s, s) mask logits to bool masks (B, H, W) of a video's size."""
    large = F.interpolate(
        logits.float().unsqueeze(1), size=(height, width), mode="bilinear", align_corners=False
    )
    return large[:, 0] > 0


def mask_iou(masks: Tensor, truth: Tensor) -> Tensor:
    """(...) IoU of bool masks (..., H, W) with others that broadcast to them; both empty is 1."""
    both = (masks & truth).flatten(-2).sum(dim=-1)
    either = (masks | truth).flatten(-2).sum(dim=-1)
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)

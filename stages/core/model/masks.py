"""Masks as tensors: to another size, packed, and compared."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.core.media.mask_bits import PIXELS_PER_BYTE, count_pixels, pack_mask


def resize_masks(masks: Tensor, side: int) -> Tensor:
    """(E, T, H, W) masks to float (E, T, side, side), each pixel the fraction that was covered."""
    return F.interpolate(masks.float(), size=(side, side), mode="area")


def enlarge_masks(logits: Tensor, height: int, width: int) -> Tensor:
    """(B, s, s) mask logits to bool masks (B, H, W) of a video's size."""
    large = F.interpolate(
        logits.float().unsqueeze(1), size=(height, width), mode="bilinear", align_corners=False
    )
    return large[:, 0] > 0


def packed_masks(
    logits: Tensor,
    height: int,
    width: int,
    *,
    shown: Tensor | None = None,
    on_gpu: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """Make masks of a video's size, packed where the logits are.

    Args:
        logits: (B, s, s) of masks.
        height, width: of the video.
        shown: (B,) bool, the masks that are not blanked; default: all.
        on_gpu: count and pack by operations of torch, which suit a GPU; default: if it is one.

    Returns:
        uint8 (B, H, ceil(W / 8)) of ``MaskBits``, and int64 (B,) pixels of each.
    """
    masks = enlarge_masks(logits, height, width)
    if shown is not None:
        masks &= shown[:, None, None]
    if on_gpu is None:
        on_gpu = masks.device.type != "cpu"
    if not on_gpu:  # numpy is many times faster here
        bits = torch.stack([torch.from_numpy(pack_mask(mask.numpy())) for mask in masks])
        return bits, torch.tensor([count_pixels(own.numpy()) for own in bits])
    return pack_bits(masks), masks.flatten(1).sum(dim=1)


def pack_bits(masks: Tensor) -> Tensor:
    """Pack bool masks (..., W) to uint8 (..., ceil(W / 8)), as ``numpy.packbits`` does."""
    rest = -masks.shape[-1] % PIXELS_PER_BYTE
    if rest:
        masks = F.pad(masks, (0, rest))
    weights = 2 ** torch.arange(PIXELS_PER_BYTE - 1, -1, -1, device=masks.device)
    # (..., W) -> (..., ceil(W / 8), 8)
    groups = masks.unflatten(-1, (-1, PIXELS_PER_BYTE)).to(torch.uint8)
    return (groups * weights.to(torch.uint8)).sum(dim=-1, dtype=torch.uint8)


def mask_iou(masks: Tensor, truth: Tensor) -> Tensor:
    """(...) IoU of bool masks (..., H, W) with others that broadcast to them; both empty is 1."""
    both = (masks & truth).flatten(-2).sum(dim=-1)
    either = (masks | truth).flatten(-2).sum(dim=-1)
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)

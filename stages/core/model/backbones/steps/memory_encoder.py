"""SAM 2's memory encoder in eval mode: the memories that several items write of one frame."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stages.core.model.backbones.features import repeat_rows
from stages.core.model.backbones.steps.layers import norm_last, norm_planes, pointwise


def encode_memory(encoder: Any, coarse: Tensor, mask: Tensor, rows: Tensor | None) -> Tensor:
    """Encode the masks of B items and what they see in n frames.

    A frame is projected once, whatever the number of its items, and no positions are computed.

    Args:
        encoder: a ``Sam2VideoMemoryEncoder``.
        coarse: (n, C, h, w).
        mask: (B, 1, S, S) scaled masks.
        rows: (B,) which of the frames each item shows; None: n is B.

    Returns:
        (B, Cm, h, w), whose channels lie together in memory.
    """
    sampler = encoder.mask_downsampler
    for layer in sampler.layers:
        mask = layer.activation(norm_planes(layer.layer_norm, layer.conv(mask)))
    seen = pointwise(encoder.feature_projection, coarse.permute(0, 2, 3, 1))  # (n, h, w, C)
    x = pointwise(sampler.final_conv, mask.permute(0, 2, 3, 1)) + repeat_rows(seen, rows)
    for block in encoder.memory_fuser.layers:
        x = _fuse(block, x)
    return pointwise(encoder.projection, x).permute(0, 3, 1, 2)


def _fuse(block: Any, x: Tensor) -> Tensor:
    """A block of the fuser on (B, h, w, C)."""
    y = block.depthwise_conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    y = block.pointwise_conv1(norm_last(block.layer_norm, y))
    y = block.pointwise_conv2(block.activation(y))
    return torch.addcmul(x, block.scale, y)

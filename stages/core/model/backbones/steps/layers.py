"""Layers of transformers' modules, for tensors whose channels come last."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.model.device import runs_on_cpu

FEW_CHANNELS = 16
"""Up to this, torch's layer norm of planes is slow on a CPU: it goes place by place."""


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, N, heads * d) to (B, heads, N, d)."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """(B, heads, N, d) to (B, N, heads * d)."""
    return x.transpose(1, 2).flatten(2)


def norm_planes(norm: Any, x: Tensor) -> Tensor:
    """Layer norm over the channels of (B, C, H, W), as a module for "channels_first" does it."""
    slow = runs_on_cpu(x) and x.dtype == torch.float32 and x.shape[1] <= FEW_CHANNELS
    if not slow:
        return norm(x)
    centred = x - x.mean(dim=1, keepdim=True)
    variance = centred.square().mean(dim=1, keepdim=True)
    scaled = centred * (variance + norm.eps).rsqrt()
    weight, bias = norm.weight.view(-1, 1, 1), norm.bias.view(-1, 1, 1)
    return scaled * weight + bias


def norm_last(norm: Any, x: Tensor) -> Tensor:
    """The same over the last dimension of (..., C)."""
    return F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def pointwise(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A 1 x 1 convolution of (..., C)."""
    return F.linear(x, conv.weight.flatten(1), conv.bias)


def is_compiled(module: nn.Module) -> bool:
    """Return whether ``module.compile()`` was called; such a module runs whole."""
    return module._compiled_call_impl is not None

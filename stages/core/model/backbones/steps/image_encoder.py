"""SAM 2's image encoder for inference: what the tracker reads of a frame, and nothing else.

transformers' module computes weights of attention between the heads of a token that it never uses,
position encodings of every level for every frame, and its finer levels at full width, of which the
mask decoder takes an eighth. On a CPU, layers run in blocks of rows that stay in its cache.
The layers are the module's own; ``tests/stages/core/model/backbones/steps/test_image_encoder.py``
checks that both give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.model.backbones.steps.layers import (
    is_compiled,
    join_heads,
    norm_last,
    pointwise,
    split_heads,
)
from stages.core.model.backbones.steps.tables import kept_table
from stages.core.model.device import computes_values, runs_on_cpu

LEVELS = 4
"""Stages of the encoder; the two finest of them reach the decoder without the coarser ones."""
BLOCK_BYTES = 4_000_000
"""Values between two layers that a CPU computes together."""


def runs_in_steps(encoder: Any) -> bool:
    """Return whether :func:`encode_images` can stand for this image encoder now.

    It cannot for encoders of other families, nor where gradients or the module as it was compiled
    are wanted.
    """
    from transformers.models.sam2.modeling_sam2 import Sam2HieraDetModel

    if torch.is_grad_enabled() or is_compiled(encoder):
        return False
    if not isinstance(getattr(encoder, "backbone", None), Sam2HieraDetModel):
        return False
    neck = encoder.neck
    plain = all(conv.kernel_size == (1, 1) and conv.stride == (1, 1) for conv in neck.convs)
    return plain and len(neck.convs) == LEVELS and set(neck.fpn_top_down_levels) == {2, 3}


def encode_images(
    encoder: Any, pixels: Tensor, finest: nn.Conv2d, middle: nn.Conv2d
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Encode N frames.

    Args:
        encoder: a ``Sam2VisionModel``, see :func:`runs_in_steps`.
        pixels: (N, 3, S, S).
        finest: the mask decoder's projection of the finest level.
        middle: that of the level after it.

    Returns:
        Levels (N, C/8, 4h, 4h), (N, C/4, 2h, 2h) and (N, C, h, h), whose channels lie together in
        memory, and positions (1, C, h, h) of the coarse one.
    """
    backbone, convs = encoder.backbone, encoder.neck.convs
    x = backbone.patch_embed(pixels)
    x = x + _frame_positions(backbone, (x.shape[1], x.shape[2]))
    stages = []
    for number, block in enumerate(backbone.blocks):
        x = _block(block, x)
        if number in backbone.stage_ends:
            stages.append(x)
    smallest = pointwise(convs[0], stages[3])  # (N, h/2, h/2, C)
    coarse = pointwise(convs[1], stages[2])  # (N, h, h, C)
    pairs = coarse.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
    coarse = (pairs + smallest[:, :, None, :, None]).flatten(3, 4).flatten(1, 2)
    levels = [
        _through(convs[3], finest, stages[0]),
        _through(convs[2], middle, stages[1]),
        coarse,
    ]
    fine, between, coarse = (level.permute(0, 3, 1, 2) for level in levels)
    return fine, between, coarse, _coarse_positions(encoder.neck, coarse)


def _frame_positions(backbone: Any, side: tuple[int, int]) -> Tensor:
    """(1, H, W, C) learned positions, enlarged to a frame's size once."""
    learned = backbone.pos_embed, backbone.pos_embed_window
    if any(part.is_inference() for part in learned):  # they may change unnoticed
        return backbone._get_pos_embed(side)
    versions = tuple((part.data_ptr(), part._version) for part in learned)
    first = learned[0]
    key = ("frame", side, first.device, first.dtype, versions)
    return kept_table(backbone, key, lambda: backbone._get_pos_embed(side))


def _coarse_positions(neck: Any, coarse: Tensor) -> Tensor:
    """(1, C, h, h) sine positions, computed once."""
    shape = torch.Size((1, *coarse.shape[1:]))

    def build() -> Tensor:
        return neck.position_encoding(shape, coarse.device, coarse.dtype)

    return kept_table(neck, ("coarse", shape, coarse.device, coarse.dtype), build)


def _through(first: nn.Conv2d, second: nn.Conv2d, x: Tensor) -> Tensor:
    """Two 1 x 1 convolutions of (..., C) as one, whose weights are their product."""
    assert first.bias is not None
    assert second.bias is not None
    outer, inner = second.weight.flatten(1).double(), first.weight.flatten(1).double()
    weight, bias = outer @ inner, outer @ first.bias.double() + second.bias.double()
    return F.linear(x, weight.to(first.weight.dtype), bias.to(first.bias.dtype))


def _block(block: Any, x: Tensor) -> Tensor:
    """One block of the encoder: (N, H, W, C) to (N, H', W', C')."""
    normed = norm_last(block.layer_norm1, x)
    if block.dim != block.dim_out:
        x = _pool(block.proj(normed), block.query_stride)
    x = x + block.attn.proj(_attend(block, normed))

    def mlp(rows: Tensor) -> Tensor:
        return rows + block.mlp(norm_last(block.layer_norm2, rows))

    width = block.mlp.proj_in.out_features
    return _by_rows(mlp, x.flatten(0, 2), width).view_as(x)


def _by_rows(work: Callable[[Tensor], Tensor], x: Tensor, width: int) -> Tensor:
    """Work on rows of x (R, ...) independently; on a CPU, some at a time.

    Args:
        width: most values per row between two layers.
    """
    most = max(1, BLOCK_BYTES // (width * x.element_size()))
    if not runs_on_cpu(x) or not computes_values() or len(x) <= most:
        return work(x)
    return torch.cat([work(part) for part in x.split(most)])


def _attend(block: Any, x: Tensor) -> Tensor:
    """Attention within windows: (N, H, W, C) to (N, H', W', C'), before its last projection."""
    n, height, width, _ = x.shape
    size = block.window_size
    if not size:
        return _attend_windows(block.attn, x)
    across, down = -(-width // size), -(-height // size)
    x = F.pad(x, (0, 0, 0, across * size - width, 0, down * size - height))
    windows = x.view(n, down, size, across, size, -1).transpose(2, 3).flatten(0, 2)
    values = 3 * block.dim_out * size * size
    out = _by_rows(lambda some: _attend_windows(block.attn, some), windows, values)
    if block.query_stride:
        height, width = height // block.query_stride[0], width // block.query_stride[1]
    # (N * down * across, s', s', C') to (N, down * s', across * s', C'), and what was padded goes
    out = out.unflatten(0, (n, down, across)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
    return out[:, :height, :width].contiguous()  # else its projection is a slower product


def _attend_windows(attention: Any, x: Tensor) -> Tensor:
    """Attention within each of R windows: (R, s, s, C) to (R, s', s', C')."""
    side = x.shape[1:3]
    heads = attention.num_attention_heads
    query, key, value = attention.qkv(x).flatten(1, 2).chunk(3, dim=2)  # (R, s * s, C') each
    if attention.query_stride:
        pooled = _pool(query.unflatten(1, side), attention.query_stride)
        side, query = pooled.shape[1:3], pooled.flatten(1, 2)
    query, key, value = (split_heads(part, heads) for part in (query, key, value))
    mixed = F.scaled_dot_product_attention(query, key, value, scale=attention.scale)
    return join_heads(mixed).unflatten(1, side)


def _pool(x: Tensor, stride: tuple[int, int] | None) -> Tensor:
    """Largest values of (N, H, W, C) within strides."""
    if stride is None:
        return x
    pooled = F.max_pool2d(x.permute(0, 3, 1, 2), kernel_size=stride, stride=stride)
    return pooled.permute(0, 2, 3, 1)

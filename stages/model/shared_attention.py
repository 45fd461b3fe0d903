"""Memory attention for many frames that read the same memories.

The unguided frames of a moment read one and the same set of memories. transformers' module wants a
copy of it for each frame and projects and rotates the copies again and again; here keys and values
are made once. The layers are the module's own; ``tests/stages/model/test_shared_attention.py``
holds both to the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

POSITION_SHARE = 0.1
"""How much of the position encoding SAM 2 adds to the queries."""


def attend_shared(
    attention: Any,
    coarse: Tensor,
    position: Tensor,
    memory: Tensor,
    memory_position: Tensor,
    pointer_tokens: int,
    owner: Sequence[int],
) -> Tensor:
    """Memory attention of B items over G memories, in eval mode (there is no dropout).

    Args:
        attention: a ``Sam2VideoMemoryAttention``.
        coarse: (B, C, h, w).
        position: (1, C, h, w).
        memory: (L, G, Cm).
        memory_position: (L, G, Cm).
        pointer_tokens: how many of the L are not places in a frame.
        owner: which of the G memories each item reads.

    Returns:
        (B, C, h, w).
    """
    b, c, h, w = coarse.shape
    x = (coarse + POSITION_SHARE * position).flatten(2).transpose(1, 2)  # (B, hw, C)
    memory, memory_position = memory.transpose(0, 1), memory_position.transpose(0, 1)
    rotation = attention.rotary_emb(x, attention.position_ids)
    rows = _rows_by_owner(owner)
    for layer in attention.layers:
        query = layer.layer_norm1(x).unsqueeze(1)  # (B, 1, hw, C)
        x = x + layer.self_attn(query, query, query, position_embeddings=rotation)[0][:, 0]
        read = _cross_attention(
            layer.cross_attn_image,
            layer.layer_norm2(x),
            memory + memory_position,
            memory,
            rotation,
            pointer_tokens,
            rows,
        )
        x = x + read
        x = x + layer.linear2(layer.activation(layer.linear1(layer.layer_norm3(x))))
    return attention.layer_norm(x).transpose(1, 2).reshape(b, c, h, w)


def _rows_by_owner(owner: Sequence[int]) -> dict[int, list[int]]:
    rows: dict[int, list[int]] = {}
    for row, group in enumerate(owner):
        rows.setdefault(group, []).append(row)
    return rows


def _cross_attention(
    module: Any,
    x: Tensor,
    keys: Tensor,
    values: Tensor,
    rotation: tuple[Tensor, Tensor],
    pointer_tokens: int,
    rows: dict[int, list[int]],
) -> Tensor:
    """(B, hw, C) from queries (B, hw, C) and memories (G, L, Cm)."""
    from transformers.models.sam2_video.modeling_sam2_video import apply_rotary_pos_emb_2d

    query = _heads(module.q_proj(x), module.num_attention_heads)  # (B, heads, hw, d)
    key = _heads(module.k_proj(keys), module.num_attention_heads)  # (G, heads, L, d)
    value = _heads(module.v_proj(values), module.num_attention_heads)
    query, key = apply_rotary_pos_emb_2d(
        query, key, *rotation, num_k_exclude_rope=pointer_tokens, repeat_freqs_k=True
    )
    mixed = torch.empty_like(query)
    for group, own in rows.items():
        flat = query[own].transpose(0, 1).flatten(1, 2).unsqueeze(0)  # (1, heads, n * hw, d)
        out = F.scaled_dot_product_attention(
            flat, key[group].unsqueeze(0), value[group].unsqueeze(0), scale=module.scaling
        )
        # (1, heads, n * hw, d) back to (n, heads, hw, d)
        mixed[own] = out[0].unflatten(1, (len(own), -1)).transpose(0, 1).to(mixed.dtype)
    return module.o_proj(mixed.transpose(1, 2).flatten(2))


def _heads(x: Tensor, heads: int) -> Tensor:
    """(B, N, heads * d) to (B, heads, N, d)."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)

"""SAM 2's memory attention for inference, where many frames may read the same memories.

The unguided frames around a moment read the same set of memories. transformers' module needs a
copy of it per frame, and projects and rotates every copy; here keys and values are computed once
and rotated as complex numbers. The layers are the module's own;
``tests/stages/core/model/backbones/test_shared_attention.py`` checks that both give the same
numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.core.model.backbones.records import MemoryTokens

POSITION_SHARE = 0.1
"""Weight of the position encoding that SAM 2 adds to the queries."""


def attend_shared(
    attention: Any,
    coarse: Tensor,
    position: Tensor,
    memory: MemoryTokens,
    owner: Sequence[int],
) -> Tensor:
    """Memory attention of B items over G memories, in eval mode (there is no dropout).

    Args:
        attention: a ``Sam2VideoMemoryAttention``.
        coarse: (B, C, h, w).
        position: (1, C, h, w).
        memory: G memories of L tokens each.
        owner: which of the G memories each item reads.

    Returns:
        (B, C, h, w).
    """
    b, c, h, w = coarse.shape
    x = (coarse + POSITION_SHARE * position).flatten(2).transpose(1, 2)  # (B, hw, C)
    order = sorted(range(b), key=lambda row: owner[row])
    sorted_already = order == list(range(b))
    x = x.contiguous() if sorted_already else x[order]
    keys = (memory.memory + memory.position).transpose(0, 1).contiguous()  # (G, L, Cm)
    values = memory.memory.transpose(0, 1).contiguous()
    readers = [sum(1 for group in owner if group == own) for own in range(len(keys))]
    freqs, pointers = rotary_freqs(attention, x), memory.pointer_tokens
    for layer in attention.layers:
        x = x + _self_attention(layer.self_attn, layer.layer_norm1(x), freqs)
        cross, query = layer.cross_attn_image, layer.layer_norm2(x)
        x = x + _cross_attention(cross, query, (keys, values), freqs, pointers, readers)
        x = x + layer.linear2(layer.activation(layer.linear1(layer.layer_norm3(x))))
    x = attention.layer_norm(x)
    if not sorted_already:
        back = torch.empty(b, dtype=torch.long)
        back[torch.tensor(order)] = torch.arange(b)
        x = x[back.to(x.device)]
    return x.transpose(1, 2).reshape(b, c, h, w)


def rotary_freqs(attention: Any, x: Tensor) -> Tensor:
    """(hw, d / 2) complex numbers that rotate the d channels of a head in pairs."""
    cos, sin = attention.rotary_emb(x, attention.position_ids)  # (1, hw, d), each number twice
    return torch.complex(cos[0, :, ::2].float(), sin[0, :, ::2].float())


def _self_attention(module: Any, x: Tensor, freqs: Tensor) -> Tensor:
    """Self-attention of (B, hw, C)."""
    heads = module.num_attention_heads
    query = apply_rotary(_heads(module.q_proj(x), heads), freqs, x.shape[1])
    key = apply_rotary(_heads(module.k_proj(x), heads), freqs, x.shape[1])
    value = _heads(module.v_proj(x), heads)
    mixed = F.scaled_dot_product_attention(query, key, value, scale=module.scaling)
    return module.o_proj(mixed.transpose(1, 2).flatten(2))


def _cross_attention(
    module: Any,
    x: Tensor,
    memories: tuple[Tensor, Tensor],
    freqs: Tensor,
    pointer_tokens: int,
    readers: Sequence[int],
) -> Tensor:
    """(B, hw, C) from queries (B, hw, C), sorted by the memory that they read.

    Args:
        memories: two tensors (G, L, Cm), of which keys and values are made.
        readers: how many items read each of the G memories.
    """
    keys, values = memories
    heads, length = module.num_attention_heads, x.shape[1]
    query = apply_rotary(_heads(module.q_proj(x), heads), freqs, length)  # (B, heads, hw, d)
    key = apply_rotary(_heads(module.k_proj(keys), heads), freqs, keys.shape[1] - pointer_tokens)
    value = _heads(module.v_proj(values), heads)  # (G, heads, L, d)
    if set(readers) == {1}:
        mixed = F.scaled_dot_product_attention(query, key, value, scale=module.scaling)
        return module.o_proj(mixed.transpose(1, 2).flatten(2))
    parts = []
    for group, own in enumerate(query.split(list(readers))):
        flat = own.transpose(0, 1).flatten(1, 2).unsqueeze(0)  # (1, heads, n * hw, d)
        out = F.scaled_dot_product_attention(
            flat, key[group].unsqueeze(0), value[group].unsqueeze(0), scale=module.scaling
        )
        parts.append(out[0].unflatten(1, (-1, length)).permute(1, 2, 0, 3))  # (n, hw, heads, d)
    return module.o_proj(torch.cat(parts).flatten(2))


def _heads(x: Tensor, heads: int) -> Tensor:
    """(B, N, heads * d) to (B, heads, N, d)."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def apply_rotary(x: Tensor, freqs: Tensor, count: int) -> Tensor:
    """Rotate the first ``count`` of N tokens (B, heads, N, d), which are those of whole frames.

    As in transformers, in float32.
    """
    exact = x.float().contiguous()
    frames = count // len(freqs)
    pairs = torch.view_as_complex(exact[:, :, :count].unflatten(3, (-1, 2)))
    rotated = pairs.unflatten(2, (frames, -1)) * freqs  # (B, heads, frames, hw, d / 2)
    rotated = torch.view_as_real(rotated).flatten(4).flatten(2, 3)  # (B, heads, count, d)
    if count < x.shape[2]:
        rotated = torch.cat([rotated, exact[:, :, count:]], dim=2)
    return rotated.to(x.dtype)

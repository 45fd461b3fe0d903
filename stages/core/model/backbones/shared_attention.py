"""SAM 2's memory attention for inference, where items read the same memories, or unequally many.

The unguided frames around a moment read the same set of memories. transformers' module needs a
copy of it per frame, and projects and rotates every copy; here keys and values are computed once
and rotated as complex numbers. The layers are the module's own;
``tests/stages/core/model/backbones/test_shared_attention.py`` checks that both give the same
numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.core.model.backbones.records import MemoryTokens
from stages.core.model.backbones.wrapped import kept_table

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
    x = _queries(coarse, position)  # (B, hw, C), or (1, hw, C) for one frame
    order = sorted(range(b), key=lambda row: owner[row])
    sorted_already = order == list(range(b))
    if len(x) > 1 and not sorted_already:
        x = x[order]
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


def attend_ragged(
    attention: Any, coarse: Tensor, position: Tensor, memories: Sequence[MemoryTokens]
) -> Tensor:
    """Memory attention of B items that read different numbers of memories, in eval mode.

    Objects that were first seen on different frames have memories of different lengths. Only the
    products of queries and keys run group by group; all projections and the rest of the layers
    run once for the B items.

    Args:
        attention: a ``Sam2VideoMemoryAttention``.
        coarse: (B, C, h, w).
        position: (1, C, h, w).
        memories: of runs of items that read equally many; each has one memory per item.

    Returns:
        (B, C, h, w).
    """
    b, c, h, w = coarse.shape
    x = _queries(coarse, position)  # (B, hw, C), or (1, hw, C) for one frame
    freqs = rotary_freqs(attention, x)
    ragged = [_Ragged.of(memory, h * w) for memory in memories]
    for layer in attention.layers:
        x = x + _self_attention(layer.self_attn, layer.layer_norm1(x), freqs)
        x = x + _ragged_attention(layer.cross_attn_image, layer.layer_norm2(x), ragged, freqs)
        x = x + layer.linear2(layer.activation(layer.linear1(layer.layer_norm3(x))))
    return attention.layer_norm(x).transpose(1, 2).reshape(b, c, h, w)


def _queries(coarse: Tensor, position: Tensor) -> Tensor:
    """(B, hw, C) queries; (1, hw, C) if the B items are one frame, expanded without copies.

    Up to the first layer's memories all items are then equal, and broadcasting does the rest.
    """
    if coarse.stride(0) == 0:
        coarse = coarse[:1]
    return (coarse + POSITION_SHARE * position).flatten(2).transpose(1, 2).contiguous()


@dataclass(frozen=True)
class _Ragged:
    """The memories of a run of b items: f remembered frames and p pointer tokens for each.

    Attributes:
        frames: keys and values of the frames, (b * f, hw, Cm) each.
        pointers: those of the pointers, (b * p, Cm) each.
        shape: (b, f, p).
    """

    frames: tuple[Tensor, Tensor]
    pointers: tuple[Tensor, Tensor]
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, memory: MemoryTokens, places: int) -> _Ragged:
        values = memory.memory.transpose(0, 1)  # (b, L, Cm)
        keys = values + memory.position.transpose(0, 1)
        b, length, _ = values.shape
        pointers = memory.pointer_tokens
        count = (length - pointers) // places
        cut = length - pointers
        return cls(
            (_as_frames(keys[:, :cut], places), _as_frames(values[:, :cut], places)),
            (keys[:, cut:].flatten(0, 1), values[:, cut:].flatten(0, 1)),
            (b, count, pointers),
        )


def _as_frames(tokens: Tensor, places: int) -> Tensor:
    """(b, f * hw, Cm) to (b * f, hw, Cm)."""
    return tokens.unflatten(1, (-1, places)).flatten(0, 1)


def _ragged_attention(module: Any, x: Tensor, memories: Sequence[_Ragged], freqs: Tensor) -> Tensor:
    """(B, hw, C) from queries (B, hw, C) of runs of items, each with its own memories."""
    heads, places = module.num_attention_heads, x.shape[1]
    query = apply_rotary(_heads(module.q_proj(x), heads), freqs, places)  # (B, heads, hw, d)
    projections = (module.k_proj, module.v_proj)
    frames, pointers = [], []
    for part, project in enumerate(projections):
        whole = _heads(project(torch.cat([m.frames[part] for m in memories])), heads)
        frames.append(apply_rotary(whole, freqs, places) if part == 0 else whole)
        pointers.append(project(torch.cat([m.pointers[part] for m in memories])))
    out, item, frame, pointer = [], 0, 0, 0
    for memory in memories:
        b, f, p = memory.shape
        rows, ends = slice(frame, frame + b * f), slice(pointer, pointer + b * p)
        key, value = (
            torch.cat([_of_items(whole[rows], b), _heads(ends_of[ends].view(b, p, -1), heads)], 2)
            for whole, ends_of in zip(frames, pointers, strict=True)
        )  # (b, heads, f * hw + p, d)
        own = query.expand(b, -1, -1, -1) if len(query) == 1 else query[item : item + b]
        out.append(F.scaled_dot_product_attention(own, key, value, scale=module.scaling))
        item, frame, pointer = item + b, frame + b * f, pointer + b * p
    return module.o_proj(torch.cat(out).transpose(1, 2).flatten(2))


def _of_items(frames: Tensor, b: int) -> Tensor:
    """(b * f, heads, hw, d) to (b, heads, f * hw, d)."""
    return frames.unflatten(0, (b, -1)).transpose(1, 2).flatten(2, 3)


def rotary_freqs(attention: Any, x: Tensor) -> Tensor:
    """(hw, d / 2) complex numbers that rotate the d channels of a head in pairs."""

    def build() -> Tensor:
        cos, sin = attention.rotary_emb(x, attention.position_ids)  # (1, hw, d), each twice
        return torch.complex(cos[0, :, ::2].float(), sin[0, :, ::2].float())

    return kept_table(attention, ("rotary", x.device, x.dtype), build)


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
    query = query.expand(sum(readers), -1, -1, -1)
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

    As in transformers, in float32; in place where ``x`` has this type, since copies of all keys
    would take longer than the rotation.
    """
    exact = x.float().contiguous()
    frames = count // len(freqs)
    pairs = torch.view_as_complex(exact[:, :, :count].unflatten(3, (-1, 2)))
    pairs.unflatten(2, (frames, -1)).mul_(freqs)  # (B, heads, frames, hw, d / 2)
    return exact.to(x.dtype)

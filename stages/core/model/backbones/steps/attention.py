"""SAM 2's memory attention for inference, where items read the same memories, or unequally many.

The unguided frames around a moment read the same set of memories. transformers' module needs a
copy of it per frame, and projects and rotates every copy; here keys and values are computed once
and rotated as complex numbers. Objects that are tracked show the same frame; what does not depend
on their memories is computed once for it. On a CPU values are projected after the weighted sum.
The layers are the module's own; ``tests/stages/core/model/backbones/steps/test_attention.py``
checks that both give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stages.core.model.backbones.features import repeat_rows
from stages.core.model.backbones.records import MemoryTokens
from stages.core.model.backbones.steps.layers import join_heads, split_heads
from stages.core.model.backbones.steps.tables import kept_table
from stages.core.model.device import runs_on_cpu

POSITION_SHARE = 0.1
"""Weight of the position encoding that SAM 2 adds to the queries."""
SCORE_BYTES = 8_000_000
"""Products of queries and keys that are computed together on a CPU: they stay in its cache."""
FEWEST_QUERIES = 64
"""Of one product of matrices; thinner ones are slow."""


def _begin(layer: Any, x: Tensor, freqs: Tensor) -> tuple[Tensor, Tensor]:
    """Self-attention of x (n, hw, C), and the rotated queries (n, heads, hw, d) for memories."""
    x = x + _self_attention(layer.self_attn, layer.layer_norm1(x), freqs)
    return x, _rotated_queries(layer.cross_attn_image, layer.layer_norm2(x), freqs)


def _keys(cross: Any, memory: Tensor, freqs: Tensor, count: int) -> Tensor:
    """Keys (G, heads, L, d) of memories (G, L, Cm), of which ``count`` tokens are rotated."""
    return apply_rotary(split_heads(cross.k_proj(memory), cross.num_attention_heads), freqs, count)


def _end(layer: Any, x: Tensor, mixed: Tensor) -> Tensor:
    """Add what the items read (B, hw, heads * d) to x (B, hw, C), then the layer's MLP."""
    x = x + layer.cross_attn_image.o_proj(mixed)
    return x + layer.linear2(layer.activation(layer.linear1(layer.layer_norm3(x))))


@dataclass(frozen=True)
class LayerSteps:
    """A layer of memory attention but for the products of queries and keys.

    These depend on which items read which memories. The steps do not, so that each can be compiled
    once for all layers and numbers of items.

    Attributes:
        begin: self-attention, and the queries.
        keys: of memories.
        end: takes what was read, and the MLP.
    """

    begin: Callable[[Any, Tensor, Tensor], tuple[Tensor, Tensor]] = _begin
    keys: Callable[[Any, Tensor, Tensor, int], Tensor] = _keys
    end: Callable[[Any, Tensor, Tensor], Tensor] = _end

    @classmethod
    def compiled(cls, **options: Any) -> LayerSteps:
        """Compile the steps; ``options`` are those of ``torch.compile``."""
        return cls(
            torch.compile(_begin, **options),
            torch.compile(_keys, **options),
            torch.compile(_end, **options),
        )


EAGER = LayerSteps()


def attend_shared(
    attention: Any,
    coarse: Tensor,
    position: Tensor,
    memory: MemoryTokens,
    owner: Sequence[int],
    rows: Tensor | None = None,
    steps: LayerSteps = EAGER,
) -> Tensor:
    """Memory attention of B items over G memories, in eval mode (there is no dropout).

    Args:
        attention: a ``Sam2VideoMemoryAttention``.
        coarse: (n, C, h, w).
        position: (1, C, h, w).
        memory: G memories of L tokens each.
        owner: which of the G memories each item reads.
        rows: (B,) which of the n frames each item shows; None: n is B.
        steps: of the layers, compiled or not.

    Returns:
        (B, C, h, w), whose channels lie together in memory.
    """
    b, size = len(owner), coarse.shape[2:]
    x = _queries(coarse, position)  # (n, hw, C)
    order = sorted(range(b), key=lambda row: owner[row])
    sorted_already = order == list(range(b))
    if not sorted_already:
        rows = x.new_tensor(order, dtype=torch.long) if rows is None else rows[order]
    keys = (memory.memory + memory.position).transpose(0, 1).contiguous()  # (G, L, Cm)
    values = memory.memory.transpose(0, 1).contiguous()
    readers = [sum(1 for group in owner if group == own) for own in range(len(keys))]
    freqs, pointers = rotary_freqs(attention, x), memory.pointer_tokens
    for layer in attention.layers:
        x, query = steps.begin(layer, x, freqs)
        query, x, rows = repeat_rows(query, rows), repeat_rows(x, rows), None
        key = steps.keys(layer.cross_attn_image, keys, freqs, keys.shape[1] - pointers)
        x = steps.end(layer, x, _read(layer.cross_attn_image, query, key, values, readers))
    x = attention.layer_norm(x)
    if not sorted_already:
        back = torch.empty(b, dtype=torch.long)
        back[torch.tensor(order)] = torch.arange(b)
        x = x[back.to(x.device)]
    return x.transpose(1, 2).unflatten(2, size)


def attend_ragged(
    attention: Any,
    coarse: Tensor,
    position: Tensor,
    memories: Sequence[MemoryTokens],
    rows: Tensor | None = None,
    steps: LayerSteps = EAGER,
) -> Tensor:
    """Memory attention of B items that read different numbers of memories, in eval mode.

    Objects that were first seen on different frames have memories of different lengths. Only the
    products of queries and keys run group by group; all projections and the rest of the layers
    run once for the B items.

    Args:
        attention: a ``Sam2VideoMemoryAttention``.
        coarse: (n, C, h, w).
        position: (1, C, h, w).
        memories: of runs of items that read equally many; each has one memory per item.
        rows: (B,) which of the n frames each item shows; None: n is B.
        steps: of the layers, compiled or not.

    Returns:
        (B, C, h, w), whose channels lie together in memory.
    """
    size = coarse.shape[2:]
    x = _queries(coarse, position)  # (n, hw, C)
    freqs = rotary_freqs(attention, x)
    ragged = [_Ragged.of(memory, x.shape[1]) for memory in memories]
    for layer in attention.layers:
        x, query = steps.begin(layer, x, freqs)
        query, x, rows = repeat_rows(query, rows), repeat_rows(x, rows), None
        frames = torch.cat([run.frames for run in ragged])  # (all frames, hw, Cm)
        key = steps.keys(layer.cross_attn_image, frames, freqs, frames.shape[1])
        x = steps.end(layer, x, _read_ragged(layer.cross_attn_image, query, key, ragged))
    return attention.layer_norm(x).transpose(1, 2).unflatten(2, size)


def _queries(coarse: Tensor, position: Tensor) -> Tensor:
    """(n, hw, C) queries of n frames."""
    return (coarse + POSITION_SHARE * position).flatten(2).transpose(1, 2).contiguous()


@dataclass(frozen=True)
class _Ragged:
    """The memories of a run of b items: f remembered frames and p pointer tokens for each.

    Attributes:
        frames: tokens of the frames with their positions, (b * f, hw, Cm).
        pointers: those of the pointers, (b * p, Cm).
        values: (b, f * hw + p, Cm) all of them without positions.
        shape: (b, f, p).
    """

    frames: Tensor
    pointers: Tensor
    values: Tensor
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, memory: MemoryTokens, places: int) -> _Ragged:
        values = memory.memory.transpose(0, 1)  # (b, L, Cm)
        keys = values + memory.position.transpose(0, 1)
        b, length, _ = values.shape
        cut = length - memory.pointer_tokens
        frames = keys[:, :cut].unflatten(1, (-1, places)).flatten(0, 1)
        pointers = keys[:, cut:].flatten(0, 1)
        shape = (b, cut // places, memory.pointer_tokens)
        return cls(frames, pointers, values.contiguous(), shape)


def _read_ragged(module: Any, query: Tensor, frames: Tensor, memories: Sequence[_Ragged]) -> Tensor:
    """(B, hw, heads * d) from rotated queries (B, heads, hw, d) of runs of items.

    Args:
        frames: (all frames, heads, hw, d) rotated keys of their memories' frames.
    """
    heads = module.num_attention_heads
    pointers = module.k_proj(torch.cat([m.pointers for m in memories]))
    out, item, frame, pointer = [], 0, 0, 0
    for memory in memories:
        b, f, p = memory.shape
        ends = pointers[pointer : pointer + b * p].view(b, p, -1)
        own = frames[frame : frame + b * f]
        key = torch.cat([_of_items(own, b), split_heads(ends, heads)], dim=2)
        out.append(_weighted(module, query[item : item + b], key, memory.values))
        item, frame, pointer = item + b, frame + b * f, pointer + b * p
    return torch.cat(out)


def _of_items(frames: Tensor, b: int) -> Tensor:
    """(b * f, heads, hw, d) to (b, heads, f * hw, d)."""
    return frames.unflatten(0, (b, -1)).transpose(1, 2).flatten(2, 3)


def rotary_freqs(attention: Any, x: Tensor) -> Tensor:
    """(hw, d / 2, 2) cosines and sines that rotate the d channels of a head in pairs."""

    def build() -> Tensor:
        cos, sin = attention.rotary_emb(x, attention.position_ids)  # (1, hw, d), each twice
        return torch.stack([cos[0, :, ::2].float(), sin[0, :, ::2].float()], dim=2)

    return kept_table(attention, ("rotary", x.device, x.dtype), build)


def _self_attention(module: Any, x: Tensor, freqs: Tensor) -> Tensor:
    """Self-attention of (n, hw, C)."""
    heads = module.num_attention_heads
    query = _rotated_queries(module, x, freqs)
    key = apply_rotary(split_heads(module.k_proj(x), heads), freqs, x.shape[1])
    value = split_heads(module.v_proj(x), heads)
    mixed = F.scaled_dot_product_attention(query, key, value, scale=module.scaling)
    return module.o_proj(join_heads(mixed))


def _rotated_queries(module: Any, x: Tensor, freqs: Tensor) -> Tensor:
    """(n, heads, hw, d) queries from (n, hw, C)."""
    query = split_heads(module.q_proj(x), module.num_attention_heads)
    return apply_rotary(query, freqs, x.shape[1])


def _read(
    module: Any, query: Tensor, key: Tensor, values: Tensor, readers: Sequence[int]
) -> Tensor:
    """(B, hw, heads * d) from rotated queries (B, heads, hw, d), sorted by what they read.

    Args:
        key: (G, heads, L, d).
        values: (G, L, Cm), of which values are made.
        readers: how many items read each of the G memories.
    """
    length = query.shape[2]
    if set(readers) == {1}:
        return _weighted(module, query, key, values)
    parts = []
    for group, own in enumerate(query.split(list(readers))):
        flat = own.transpose(0, 1).flatten(1, 2).unsqueeze(0)  # (1, heads, n * hw, d)
        out = _weighted(module, flat, key[[group]], values[[group]])  # (1, n * hw, heads * d)
        parts.append(out[0].unflatten(0, (-1, length)))
    return torch.cat(parts)


def _weighted(module: Any, query: Tensor, key: Tensor, memory: Tensor) -> Tensor:
    """Sums of projected values by attention, (g, q, heads * d).

    The weights of a sum add up to 1, so that it can be projected instead of every value. A memory
    has fewer channels than its projection; torch's kernel for CPUs cannot use that, nor can those
    for GPUs, which are much faster than products of matrices however.

    Args:
        query: (g, heads, q, d).
        key: (g, heads, L, d).
        memory: (g, L, Cm), of which values are made.
    """
    heads = module.num_attention_heads
    if heads > 1 or not runs_on_cpu(query):
        value = split_heads(module.v_proj(memory), heads)
        mixed = F.scaled_dot_product_attention(query, key, value, scale=module.scaling)
        return join_heads(mixed)
    queries, keys = query[:, 0] * module.scaling, key[:, 0].transpose(1, 2)
    return module.v_proj(_weighted_sums(queries, keys, memory))


def _weighted_sums(queries: Tensor, keys: Tensor, memory: Tensor) -> Tensor:
    """(g, q, Cm) sums of memories (g, L, Cm) by queries (g, q, d) and keys (g, d, L)."""
    g, q, _ = queries.shape
    each = keys.shape[2] * queries.element_size()  # bytes of a query's scores
    if g * q * each <= SCORE_BYTES:
        return (queries @ keys).softmax(dim=2).to(memory.dtype) @ memory
    block = max(FEWEST_QUERIES, SCORE_BYTES // each)
    sums = [
        (part @ keys[item]).softmax(dim=1).to(memory.dtype) @ memory[item]
        for item in range(g)
        for part in queries[item].split(block)
    ]
    return torch.cat(sums).view(g, q, -1)


def apply_rotary(x: Tensor, freqs: Tensor, count: int) -> Tensor:
    """Rotate the first ``count`` of N tokens (B, heads, N, d), which are those of whole frames.

    As in transformers, in float32; in place where ``x`` has this type, since copies of all keys
    would take longer than the rotation. Compilers make no code for complex numbers.
    """
    frames = count // len(freqs)
    if torch.compiler.is_compiling():
        return _rotated(x, freqs, count, frames)
    exact = x.float().contiguous()
    pairs = torch.view_as_complex(exact[:, :, :count].unflatten(3, (-1, 2)))
    turns = torch.view_as_complex(freqs)
    pairs.unflatten(2, (frames, -1)).mul_(turns)  # (B, heads, frames, hw, d / 2)
    return exact.to(x.dtype)


def _rotated(x: Tensor, freqs: Tensor, count: int, frames: int) -> Tensor:
    """The same by real numbers; their copies become one kernel when compiled."""
    exact = x.float()
    turned = exact[:, :, :count].unflatten(2, (frames, -1)).unflatten(4, (-1, 2))
    first, second = turned.unbind(5)  # (B, heads, frames, hw, d / 2)
    cos, sin = freqs.unbind(2)  # (hw, d / 2)
    pairs = torch.stack([first * cos - second * sin, first * sin + second * cos], dim=5)
    turned = pairs.flatten(4).flatten(2, 3)  # (B, heads, count, d)
    return torch.cat([turned, exact[:, :, count:]], dim=2).to(x.dtype)

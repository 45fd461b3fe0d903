"""The adapter's blocks for inference on a CPU: one sentence at a time, in place.

One sentence's tokens of a video stay in the processor's cache from layer to layer; those of eight
do not, and every layer waits for memory. The modules are those of ``layers.ClipBlock``;
``tests/stages/core/model/adapter/test_alone.py`` checks that both give the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.model.adapter.layers import Attention, ClipBlock
from stages.core.model.backbones.steps.layers import join_heads, split_heads
from stages.core.model.device import runs_on_cpu

HIDDEN_BYTES = 1_000_000
"""Hidden values of a block's MLP that are computed together."""


def reads_alone(x: Tensor) -> bool:
    """Return whether sentences run one by one: on a CPU, without gradients or half precision."""
    exact = x.dtype == torch.float32 and not torch.is_autocast_enabled(x.device.type)
    return runs_on_cpu(x) and exact and not torch.is_grad_enabled()


def run_blocks(
    blocks: Iterable[nn.Module],
    x: Tensor,
    side: tuple[int, int],
    text: Tensor,
    text_mask: Tensor,
    sentence: Tensor,
    times: Tensor,
    band: Tensor,
) -> Tensor:
    """Run all blocks for one sentence.

    Args:
        blocks: of the adapter, ``ClipBlock``.
        x: (T, hh, d), contiguous, unchanged.
        side: (h, h).
        text: (N, d) tokens.
        text_mask: (N,) True at tokens, False at padding.
        sentence: (2 d,) context and motion.
        times: (1, T) frame numbers.
        band: (T, T) frames that attend to each other.

    Returns:
        (T, hh, d).
    """
    x = x.clone()
    for block in blocks:
        assert isinstance(block, ClipBlock)
        _run(block, x, side, text, text_mask, sentence, times, band)
    return x


def _run(
    block: ClipBlock,
    x: Tensor,
    side: tuple[int, int],
    text: Tensor,
    text_mask: Tensor,
    sentence: Tensor,
    times: Tensor,
    band: Tensor,
) -> None:
    """Run one block on x (T, hh, d), in place."""
    t, _, d = x.shape
    flat = x.view(1, -1, d)
    flat += block.to_text(flat, text.unsqueeze(0), mask=text_mask.unsqueeze(0))
    x += _over_time(block.to_time, x, times, band)
    scale, shift = block.film(sentence).chunk(2)  # (d,) each
    norm = block.space_norm
    # The sentence's scale and shift are part of the norm's own.
    weight, bias = norm.weight * (1 + scale), torch.addcmul(norm.bias + shift, norm.bias, scale)
    grid = F.gelu(F.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps))
    planes = grid.view(t, *side, d).permute(0, 3, 1, 2)  # their channels lie together in memory
    x += block.space(planes).permute(0, 2, 3, 1).flatten(1, 2)
    hidden = block.mlp_width * x.element_size()
    for rows in x.view(-1, d).split(max(1, HIDDEN_BYTES // hidden)):
        rows += block.mlp(rows)


def _over_time(attention: Attention, x: Tensor, times: Tensor, band: Tensor) -> Tensor:
    """What attention over time adds to x (T, hh, d): a view of (hh, T, d)."""
    normed = attention.norm(x).transpose(0, 1).contiguous()  # (hh, T, d)
    parts = attention.query(normed), *attention.key_value(normed).chunk(2, dim=2)
    query, key, value = (split_heads(part, attention.heads) for part in parts)
    bias = attention.time_bias(times, band, 1)  # (1, heads, T, T)
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    return attention.out(join_heads(mixed)).transpose(0, 1)

"""SAM 2's mask decoder in eval mode, for items of which several show the same frame."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.model.backbones.features import repeat_rows
from stages.core.model.backbones.steps.layers import join_heads, norm_last, split_heads
from stages.core.model.device import runs_on_cpu

SCORE, IOU, FIRST_MASK = 0, 1, 2
"""Places of the decoder's own tokens; the prompt's tokens follow those of the masks."""
UPSCALING = 2
"""Of each of the two transposed convolutions, whose windows do not overlap."""


def decode_masks(
    decoder: Any,
    image: Tensor,
    positions: Tensor,
    sparse: Tensor,
    levels: tuple[Tensor, Tensor],
    rows: Tensor | None,
    *,
    multimask: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Decode the masks of B items.

    A decoder that chooses between its single mask and the others by their stability is not
    supported without ``multimask``.

    Args:
        decoder: a ``Sam2VideoMaskDecoder``.
        image: (B, C, h, w) coarse features with memory and mask prompt.
        positions: (1, C, h, w) of the places.
        sparse: (B, P, C) prompt tokens.
        levels: middle (n, C/4, 2h, 2w) and fine (n, C/8, 4h, 4w) features of n frames.
        rows: (B,) which of the frames each item shows; None: n is B.
        multimask: the three masks after the first one, instead of that one.

    Returns:
        Mask logits (B, M, 4h, 4w), predicted IoU (B, M), mask tokens (B, M, C), score (B,).
    """
    b, _, h, w = image.shape
    own = (decoder.obj_score_token, decoder.iou_token, decoder.mask_tokens)
    first = torch.cat([token.weight for token in own]).expand(b, -1, -1)
    tokens, places = _transform(
        decoder.transformer,
        torch.cat([first, sparse], dim=1).to(first.dtype),  # (B, N, C)
        image.flatten(2).transpose(1, 2).contiguous(),  # (B, hw, C)
        positions.flatten(2).transpose(1, 2),
    )
    chosen = slice(1, decoder.num_mask_tokens) if multimask else slice(0, 1)
    end = FIRST_MASK + decoder.num_mask_tokens
    mask_tokens = tokens[:, FIRST_MASK:end][:, chosen]  # (B, M, C)
    weights = [
        mlp(mask_tokens[:, place])
        for place, mlp in enumerate(decoder.output_hypernetworks_mlps[chosen])
    ]
    fine = _upscale(decoder, places.unflatten(1, (h, w)), levels, rows)  # (B, hw * 16, C/8)
    masks = _unfold(torch.stack(weights, dim=1) @ fine.transpose(1, 2), (h, w))
    iou = decoder.iou_prediction_head(tokens[:, IOU])[:, chosen]
    score = decoder.pred_obj_score_head(tokens[:, SCORE])[:, 0]
    return masks, iou, mask_tokens, score


def _transform(
    transformer: Any, prompt: Tensor, image: Tensor, positions: Tensor
) -> tuple[Tensor, Tensor]:
    """Exchange between tokens (B, N, C) and places (B, hw, C), both of which come back."""
    tokens = prompt
    for block in transformer.layers:
        if block.skip_first_layer_pe:  # the first block; it also adds nothing to its input
            tokens = _attend(block.self_attn, tokens, tokens, tokens)
        else:
            queries = tokens + prompt
            tokens = tokens + _attend(block.self_attn, queries, queries, tokens)
        tokens = block.layer_norm1(tokens)
        placed = image + positions
        attended = _attend(block.cross_attn_token_to_image, tokens + prompt, placed, image)
        tokens = block.layer_norm2(tokens + attended)
        tokens = block.layer_norm3(tokens + block.mlp(tokens))
        attended = _attend_few(block.cross_attn_image_to_token, placed, tokens + prompt, tokens)
        image = block.layer_norm4(image + attended)
    last = transformer.final_attn_token_to_image
    attended = _attend(last, tokens + prompt, image + positions, image)
    return transformer.layer_norm_final_attn(tokens + attended), image


def _attend(module: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """(B, N, C) from queries (B, N, C), keys and values (B, L, C)."""
    heads = module.num_attention_heads
    mixed = F.scaled_dot_product_attention(
        split_heads(module.q_proj(query), heads),
        split_heads(module.k_proj(key), heads),
        split_heads(module.v_proj(value), heads),
        scale=module.scaling,
    )
    return module.o_proj(join_heads(mixed))


def _attend_few(module: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The same for many queries (B, hw, C) and few keys and values (B, L, C).

    On a CPU torch's kernel is slow for it: its matrices are thin, and a softmax takes a row of L at
    a time. Here the heads of the keys are rows of one matrix, with zeros for the channels of other
    heads: a few times the arithmetic, in two large products.
    """
    if not runs_on_cpu(query):
        return _attend(module, query, key, value)
    heads, few = module.num_attention_heads, key.shape[1]
    query, key, value = module.q_proj(query), module.k_proj(key), module.v_proj(value)
    head = torch.arange(query.shape[2], device=query.device) // module.head_dim
    own = head == torch.arange(heads, device=query.device).unsqueeze(1)  # (heads, D)
    key, value = ((part.unsqueeze(2) * own).flatten(1, 2) for part in (key, value))
    scores = (key * module.scaling) @ query.transpose(1, 2)  # (B, L * heads, hw)
    weights = scores.unflatten(1, (few, heads)).softmax(dim=1).flatten(1, 2)
    return module.o_proj(weights.transpose(1, 2).to(value.dtype) @ value)


def _upscale(
    decoder: Any, image: Tensor, levels: tuple[Tensor, Tensor], rows: Tensor | None
) -> Tensor:
    """(B, hw * 16, C/8) from places (B, h, w, C) and the finer levels of the frames.

    A place becomes 2 x 2, and each of these 2 x 2 again. They stay together in memory, so that
    nothing is copied into the order of a frame but the masks, see ``_unfold``.
    """
    middle, fine = (repeat_rows(level.permute(0, 2, 3, 1), rows) for level in levels)
    b, h, w, _ = image.shape
    middle = middle.view(b, h, 2, w, 2, -1).transpose(2, 3)  # (B, h, w, 2, 2, C/4)
    fine = fine.view(b, h, 2, 2, w, 2, 2, -1).permute(0, 1, 4, 2, 5, 3, 6, 7)
    enlarged = _enlarge(decoder.upscale_conv1, image) + middle
    enlarged = decoder.activation(norm_last(decoder.upscale_layer_norm, enlarged))
    enlarged = _enlarge(decoder.upscale_conv2, enlarged) + fine  # (B, h, w, 2, 2, 2, 2, C/8)
    return decoder.activation(enlarged).flatten(1, 6)


def _unfold(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, M, 4h, 4w) masks from (B, M, hw * 16), in the order of ``_upscale``."""
    parts = masks.unflatten(2, (*size, *(UPSCALING,) * 4))  # (B, M, h, w, 2, 2, 2, 2)
    return parts.permute(0, 1, 2, 4, 6, 3, 5, 7).flatten(5, 7).flatten(2, 4)


def _enlarge(conv: nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """A transposed convolution as one product of matrices: (..., C) to (..., 2, 2, D)."""
    weight = conv.weight.permute(2, 3, 1, 0)  # (2, 2, D, C)
    bias = None if conv.bias is None else conv.bias.repeat(UPSCALING**2)
    return F.linear(x, weight.flatten(0, 2), bias).unflatten(-1, (UPSCALING, UPSCALING, -1))

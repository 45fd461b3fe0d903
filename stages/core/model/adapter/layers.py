"""Attention and blocks of the adapter."""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE_BIAS, NEAR_BIAS = 1.5, 0.1

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


def zero_output(layer: Layer) -> Layer:
    """Start a projection at zero, so that it adds nothing until it is trained."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def band_mask(length: int, radius: int, device: torch.device) -> Tensor:
    """(T, T) True where two frames of a clip are at most ``radius`` positions apart."""
    place = torch.arange(length, device=device)
    return (place.unsqueeze(0) - place.unsqueeze(1)).abs() <= radius


def sided_bias(heads: int, radius: int) -> Tensor:
    """(heads, 2 * radius + 1) initial biases of signed distances in attention over time.

    Every other head prefers later frames, the others earlier ones, and all of them near ones:
    attention alone cannot tell an order in time, and a direction of motion is one.
    """
    apart = torch.arange(-radius, radius + 1)
    side = torch.tensor([1.0 if head % 2 else -1.0 for head in range(heads)])
    return SIDE_BIAS * side.unsqueeze(1) * apart.sign() - NEAR_BIAS * apart.abs()


class Attention(nn.Module):
    """Multi-head attention over time (banded, aware of distances), or over other tokens.

    Args:
        width: d.
        heads: divides d.
        radius: distances in time beyond it share one code; None for attention without time.

    Raises:
        ValueError: the heads do not divide the width.
    """

    def __init__(self, width: int, heads: int, radius: int | None = None):
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}")
        self.heads = heads
        self.radius = radius
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        if radius is not None:
            self.distance = nn.Parameter(sided_bias(heads, radius))

    def forward(
        self,
        x: Tensor,
        other: Tensor | None = None,
        *,
        mask: Tensor | None = None,
        times: Tensor | None = None,
        band: Tensor | None = None,
    ) -> Tensor:
        """The residual of ``x``.

        Args:
            x: (B, Q, d).
            other: (B, N, d) tokens to attend to; default ``x``.
            mask: (B, N) True at tokens of ``other``, False at padding.
            times: (V, Q) frame numbers, V divides B: row i of V serves the i-th B/V rows.
            band: (Q, Q) True where attention over time is allowed.
        """
        b, q, d = x.shape
        if other is not None and mask is not None and self._folds(other):
            return self._read_few(x, other, mask)
        x = self.norm(x)
        query = self._split(self.query(x))  # (B, heads, Q, d / heads)
        key, value = self.key_value(x if other is None else other).chunk(2, dim=2)
        bias = None
        if times is not None and band is not None:
            bias = self.time_bias(times, band, b).to(query.dtype)
        elif mask is not None:
            bias = mask.view(b, 1, 1, -1)
        mixed = F.scaled_dot_product_attention(
            query, self._split(key), self._split(value), attn_mask=bias
        )
        return self.out(mixed.transpose(1, 2).reshape(b, q, d))

    def _folds(self, other: Tensor) -> bool:
        """Return whether folding the projections into a sentence's tokens is cheaper."""
        return not self.training and other.shape[1] * self.heads <= other.shape[2]

    def _read_few(self, x: Tensor, other: Tensor, mask: Tensor) -> Tensor:
        """As ``forward`` with a mask, for many queries (B, Q, d) and few tokens (B, N, d).

        Queries meet keys through two matrices, and values meet the output through two more; with
        fewer keys than channels it is cheaper to multiply each pair of matrices first.
        """
        b, n, d = other.shape
        heads, c = self.heads, d // self.heads
        key, value = self.key_value(other).view(b, n, 2, heads, c).permute(2, 0, 3, 1, 4)
        query_weight, query_bias = self.query.weight.view(heads, c, d), self.query.bias
        into = torch.einsum("bhnc,hcd->bhnd", key, query_weight).flatten(1, 2) * c**-0.5
        bias = torch.einsum("bhnc,hc->bhn", key, query_bias.view(heads, c)) * c**-0.5
        bias = bias.masked_fill(~mask.unsqueeze(1), -torch.inf).flatten(1).unsqueeze(2)
        # Queries last: a softmax over the last dimension would be slow for few tokens.
        score = torch.baddbmm(bias.to(x.dtype), into, self.norm(x).transpose(1, 2))  # (B, HN, Q)
        weight = score.unflatten(1, (heads, n)).softmax(dim=2).flatten(1, 2)
        out_weight = self.out.weight.view(d, heads, c)
        out = torch.einsum("bhnc,dhc->bhnd", value, out_weight).flatten(1, 2)  # (B, HN, d)
        return torch.baddbmm(self.out.bias.view(1, 1, d), weight.transpose(1, 2), out)

    def _split(self, x: Tensor) -> Tensor:
        """(B, N, d) to (B, heads, N, d / heads)."""
        b, n, d = x.shape
        return x.view(b, n, self.heads, d // self.heads).transpose(1, 2)

    def time_bias(self, times: Tensor, band: Tensor, batch: int) -> Tensor:
        """(B or 1, heads, Q, Q) learned bias of signed distances, minus infinity off the band."""
        assert self.radius is not None
        apart = times.unsqueeze(1) - times.unsqueeze(2)  # (V, Q, Q)
        code = apart.clamp(-self.radius, self.radius) + self.radius
        bias = self.distance[:, code].transpose(0, 1)  # (V, heads, Q, Q)
        bias = bias.masked_fill(~band, -torch.inf)
        if len(bias) == 1:
            return bias
        return bias.repeat_interleave(batch // len(bias), dim=0)


class ClipBlock(nn.Module):
    """One block of the adapter: attention to the sentence and over time, convolution in space."""

    def __init__(self, width: int, heads: int, radius: int):
        super().__init__()
        self.to_text = Attention(width, heads)
        self.to_time = Attention(width, heads, radius)
        self.film = nn.Linear(2 * width, 2 * width)
        self.space_norm = nn.LayerNorm(width)
        self.space = nn.Conv2d(width, width, 3, padding=1)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.mlp_width = 2 * width

    def forward(
        self,
        x: Tensor,
        side: tuple[int, int],
        text: Tensor,
        text_mask: Tensor,
        sentence: Tensor,
        times: Tensor,
        band: Tensor,
    ) -> Tensor:
        """Run the block.

        Args:
            x: (E, T, hh, d).
            side: (h, h).
            text: (E, N, d) tokens.
            text_mask: (E, N) True at tokens, False at padding.
            sentence: (E, 2 d) context and motion; they scale and shift the channels.
            times: (V, T) frame numbers, V is E or 1.
            band: (T, T) frames that attend to each other.

        Returns:
            (E, T, hh, d).
        """
        e, t, n, d = x.shape
        x = x + self.to_text(x.reshape(e, t * n, d), text, mask=text_mask).view(e, t, n, d)
        across = x.transpose(1, 2).reshape(e * n, t, d)
        moved = self.to_time(across, times=times, band=band)
        x = x + moved.view(e, n, t, d).transpose(1, 2)
        scale, shift = self.film(sentence)[:, None, None].chunk(2, dim=3)  # (E, 1, 1, d) each
        grid = (
            F.gelu(self.space_norm(x) * (1 + scale) + shift)
            .view(e * t, *side, d)
            .permute(0, 3, 1, 2)
        )
        x = x + self.space(grid).permute(0, 2, 3, 1).reshape(e, t, n, d)
        return x + self.mlp(x)

"""The track head (ours): which tracks a sentence means, and in which frames it is true of each.

A frame of a track is one token, so that attention over the whole video costs little. Blocks look
along a track (neighbouring frames by convolution, all frames by attention) and across the tracks of
a frame, since look-alikes must be compared.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.model.config import TRACK_HEADS
from stages.core.model.track_head.evidence import CUES, TrackEvidence, highest_of_others
from stages.core.model.track_head.geometry import GEOMETRY_WIDTH

BLOCKS, NEIGHBOURS = 2, 5
"""Depth, and the frames that the convolution over time spans."""


class TrackHead(nn.Module):
    """Logits of (sentence, track), and of (sentence, track, frame).

    Args:
        channels: d of the adapter.
        look: A, the numbers of a look.
        text_dim: D of the text encoder.
        width: of the head, a multiple of 4.
        dropout: in training, of whole sources of evidence per track and of single numbers.
    """

    def __init__(self, channels: int, look: int, text_dim: int, width: int, dropout: float = 0.2):
        super().__init__()
        self.dropout = dropout
        self.tokens_in = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, width))
        self.cues_in = nn.Linear(CUES, width)
        self.geometry_in = nn.Linear(GEOMETRY_WIDTH, width)
        self.look_in = nn.Sequential(nn.LayerNorm(look), nn.Linear(look, 2 * width))
        self.sentence_in = nn.Sequential(nn.LayerNorm(text_dim), nn.Linear(text_dim, 2 * width))
        self.look_mix = nn.Sequential(
            nn.LayerNorm(2 * width),
            nn.Linear(2 * width, width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
        )
        self.film = nn.Linear(2 * channels, 2 * width)
        self.blocks = nn.ModuleList(TrackBlock(width, dropout) for _ in range(BLOCKS))
        self.relevance = nn.Linear(width, 1)
        self.weight = nn.Linear(width, 1)
        self.match = nn.Sequential(
            nn.LayerNorm(width + 1),
            nn.Linear(width + 1, width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(width, 1),
        )

    def forward(self, evidence: TrackEvidence) -> tuple[Tensor, Tensor]:
        """Judge N tracks for E sentences.

        Returns:
            match (E, N), logits of "the sentence means this track"; relevance (E, N, T), logits of
            "and it is true of it in this frame".
        """
        x = (
            self._dropped(self.tokens_in(evidence.tokens))
            + self._dropped(self.cues_in(evidence.cues))
            + self._dropped(self.geometry_in(evidence.geometry)[None])
        )  # (E, N, T, width)
        text = F.dropout(evidence.text, self.dropout, self.training)
        scale, shift = self.film(text)[:, None, None].chunk(2, dim=3)
        x = x * (1 + scale) + shift + self._fits(evidence)[:, :, None]
        for block in self.blocks:
            x = block(x)
        relevance = self.relevance(x).squeeze(3)
        weight = self.weight(x).squeeze(3)
        # A large finite number: a track without a visible frame is averaged instead of giving NaN.
        hidden = ~evidence.visible[None]
        weight = weight.masked_fill(hidden, torch.finfo(weight.dtype).min).softmax(dim=2)
        pooled = (weight.unsqueeze(3) * x).sum(dim=2)  # (E, N, width)
        peak = relevance.sigmoid().masked_fill(hidden, 0).amax(dim=2)
        match = self.match(torch.cat([pooled, peak.unsqueeze(2)], dim=2)).squeeze(2)
        return match, relevance

    def _fits(self, evidence: TrackEvidence) -> Tensor:
        """(E, N, width): how the look of each track fits the words of each sentence."""
        asked = self.sentence_in(evidence.sentences)[:, None]
        return self.look_mix(self.look_in(evidence.looks)[None] * asked)

    def _dropped(self, x: Tensor) -> Tensor:
        """Drop the whole source for some of the tracks in training: none may be relied on alone."""
        if not self.training or not self.dropout:
            return x
        keep = torch.rand(*x.shape[:2], 1, 1, device=x.device) > self.dropout
        return x * keep / (1 - self.dropout)


class TrackBlock(nn.Module):
    """Neighbouring frames, the whole track, then the other tracks of each frame."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.near_norm = nn.LayerNorm(width)
        self.near = nn.Conv1d(width, width, NEIGHBOURS, padding=NEIGHBOURS // 2)
        self.far_norm = nn.LayerNorm(width)
        self.far_in = nn.Linear(width, 3 * width)
        self.far_out = nn.Linear(width, width)
        self.mix = nn.Sequential(
            nn.LayerNorm(2 * width),
            nn.Linear(2 * width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(E, N, T, width) to the same."""
        e, n, t, width = x.shape
        along = self.near_norm(x).reshape(e * n, t, width).transpose(1, 2)
        along = F.gelu(self.near(along)).transpose(1, 2).reshape(x.shape)
        x = x + self.drop(along)
        parts = self.far_in(self.far_norm(x)).view(e * n, t, 3, TRACK_HEADS, width // TRACK_HEADS)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # (E * N, heads, T, width / heads) each
        seen = F.scaled_dot_product_attention(query, key, value).transpose(1, 2)
        x = x + self.drop(self.far_out(seen.reshape(e, n, t, width)))
        others = highest_of_others(x) if n > 1 else torch.zeros_like(x)
        return x + self.mix(torch.cat([x, others], dim=3))

"""The adapter: how a sentence changes SAM 2's features and prompts.

Paper, section on moment-aware feature extraction; figure 3. The adapter works on the frozen
encoder's outputs, not inside it, so a frame is encoded once for all sentences and both paths. Its
outputs are projected by layers that start at zero: an untrained adapter leaves SAM 2 as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.core.model.adapter.alone import reads_alone, run_blocks
from stages.core.model.adapter.layers import Attention, ClipBlock, band_mask, zero_output
from stages.core.model.backbones.backbone import sine_encoding
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.steps.layers import pointwise
from stages.core.model.config import ModelConfig
from stages.core.model.text import TextBatch

DIFFERENCES = (1, 2, 4)
"""Distances, in frames of the clip, to the neighbours that each frame is compared with.

On the toy data set the heat map of an adapter trained alone hit its target in 68 % of the held-out
guided frames with these, in 46 to 49 % with the nearest neighbours only.
"""
COMPARED = 2 * len(DIFFERENCES)
"""Neighbours of a frame: before and after it at each distance."""
MOTION_BIAS = 2.0
"""Head start, as a logit, of marked motion words in the motion pooling."""


@dataclass(frozen=True)
class Guidance:
    """Residuals of B guided items.

    Attributes:
        fine: (B, C/8, 4h, 4h) residual.
        middle: (B, C/4, 2h, 2h) residual.
        coarse: (B, C, h, h) residual.
        prompts: (B, 2, C) residuals of the two empty prompt tokens: context and motion.
    """

    fine: Tensor
    middle: Tensor
    coarse: Tensor
    prompts: Tensor

    def added_to(self, features: FrameFeatures) -> FrameFeatures:
        """F_Adp = F_SAM + residual, for the B items' frames."""
        return replace(
            features,
            fine=features.fine + self.fine,
            middle=features.middle + self.middle,
            coarse=features.coarse + self.coarse,
        )


@dataclass(frozen=True)
class EncodedText:
    """E sentences at the adapter's width d.

    Attributes:
        tokens: (E, 2 + N, d): context, motion, then the words.
        mask: (E, 2 + N) True at tokens, False at padding.
        context: (E, d).
        motion: (E, d).
        sentence: (E, D) as the text encoder gave it.
    """

    tokens: Tensor
    mask: Tensor
    context: Tensor
    motion: Tensor
    sentence: Tensor

    def __getitem__(self, rows: slice) -> EncodedText:
        """Some of the sentences."""
        parts = (self.tokens, self.mask, self.context, self.motion, self.sentence)
        return EncodedText(*(part[rows] for part in parts))


@dataclass(frozen=True)
class ClipTokens:
    """The adapter's output for T frames and each of E sentences.

    Attributes:
        tokens: (E, T, d, h, h).
        heatmap: (E, T, h, h) logits of "the target is here", coarse.
        frame: (E, T, d) one token per frame.
    """

    tokens: Tensor
    heatmap: Tensor
    frame: Tensor

    def at(self, rows: Sequence[int], positions: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Tokens (B, d, h, h) and frame tokens (B, d) of B pairs of sentence and position."""
        return self.tokens[rows, positions], self.frame[rows, positions]


class TextReader(nn.Module):
    """Projects the output of the frozen text encoder; pools a context and a motion embedding."""

    def __init__(self, text_dim: int, width: int):
        super().__init__()
        self.token_norm = nn.LayerNorm(text_dim)
        self.token = nn.Linear(text_dim, width)
        self.pooled_norm = nn.LayerNorm(text_dim)
        self.pooled = nn.Linear(text_dim, width)
        self.motion_query = nn.Parameter(torch.randn(width) * width**-0.5)
        self.motion_bias = nn.Parameter(torch.tensor(MOTION_BIAS))
        self.norm = nn.LayerNorm(width)

    def forward(self, text: TextBatch) -> EncodedText:
        words = self.token(self.token_norm(text.tokens))  # (E, N, d)
        place = torch.arange(words.shape[1], dtype=torch.float32, device=words.device)
        words = words + sine_encoding(place, words.shape[2]).to(words.dtype)
        context = self.pooled(self.pooled_norm(text.pooled))  # (E, d)
        score = words @ self.motion_query + self.motion_bias * text.motion  # (E, N)
        # A large finite number: a sentence without tokens then averages instead of giving NaN.
        score = score.masked_fill(text.padding, torch.finfo(score.dtype).min)
        motion = (score.softmax(dim=1).unsqueeze(2) * words).sum(dim=1)  # (E, d)
        tokens = torch.cat([context.unsqueeze(1), motion.unsqueeze(1), words], dim=1)
        always = text.padding.new_ones(len(text), 2)
        mask = torch.cat([always, ~text.padding], dim=1)
        return EncodedText(self.norm(tokens), mask, context, motion, text.pooled)


class Adapter(nn.Module):
    """Encodes clips together with sentences; see the module's docstring.

    Args:
        config: widths and radii.
        channels: C of the backbone.
        text_dim: D of the text encoder.
    """

    def __init__(self, config: ModelConfig, channels: int, text_dim: int):
        super().__init__()
        width = config.adapter_width
        self.config = config
        self.text = TextReader(text_dim, width)
        self.coarse_in = nn.Conv2d(channels, width, 1)
        self.middle_in = nn.Conv2d(channels // 4, width, 3, stride=2, padding=1)
        self.fine_in = nn.Conv2d(channels // 8, width, 4, stride=4)
        self.stem_norm = nn.LayerNorm(width)
        self.motion_in = nn.Conv2d((1 + COMPARED) * width, width, 3, padding=1)
        if config.codes_neighbours:
            self.missing_in = nn.Linear(COMPARED, width, bias=False)
        if config.gap_codes == "all":
            self.gap_in = nn.Linear(COMPARED, width)
        else:
            self.gap_out = zero_output(nn.Linear(2 * COMPARED, 2 * width))
        self.blocks = nn.ModuleList(
            ClipBlock(width, config.adapter_heads, config.temporal_radius)
            for _ in range(config.adapter_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.heatmap = nn.Linear(width, 1)
        self.frame = nn.Sequential(nn.Linear(3 * width, width), nn.GELU(), nn.LayerNorm(width))
        self.relevance_attention = Attention(width, config.adapter_heads, config.relevance_radius)
        self.relevance_head = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1)
        )
        self.coarse_out = zero_output(nn.Conv2d(width, channels, 1))
        self.middle_out = zero_output(nn.Conv2d(width, channels // 4, 3, padding=1))
        self.fine_reduce = nn.Conv2d(width, width // 4, 1)
        self.fine_out = zero_output(nn.Conv2d(width // 4, channels // 8, 3, padding=1))
        self.prompt_in = nn.Sequential(nn.LayerNorm(2 * width), nn.Linear(2 * width, width))
        self.context_out = zero_output(nn.Linear(width, channels))
        self.motion_out = zero_output(nn.Linear(width, channels))

    @property
    def halo(self) -> int:
        """Frames on each side of a block that its tokens depend on."""
        return self.config.adapter_layers * self.config.temporal_radius + max(DIFFERENCES)

    def encode_clip(
        self,
        features: FrameFeatures,
        frames: Tensor,
        times: Tensor,
        text: EncodedText,
        hidden: Tensor | None = None,
    ) -> ClipTokens:
        """Encode clips with sentences.

        Args:
            features: of N frames.
            frames: (V, T) indices into ``features``; V is E, or 1 for one clip for all.
            times: (V, T) frame numbers, ascending.
            text: of E sentences.
            hidden: (V, T, COMPARED) bool, neighbours that are hidden as if the clip ended there.
        """
        return self.fuse_text(self.embed_frames(features, frames, times, hidden), times, text)

    def fuse_text(self, embedded: Tensor, times: Tensor, text: EncodedText) -> ClipTokens:
        """The part of ``encode_clip`` that depends on the sentences.

        Args:
            embedded: (V, T, d, h, h) from ``embed_frames``; V is E, or 1 for one clip for all.
            times: (V, T) frame numbers, ascending.
            text: of E sentences.
        """
        v, t, d, h, w = embedded.shape
        e = len(text.context)
        x = embedded.permute(0, 1, 3, 4, 2).reshape(v, t, h * w, d)
        steps = self._seen_times(times)
        band = band_mask(t, self.config.temporal_radius, x.device)
        sentence = torch.cat([text.context, text.motion], dim=1)  # (E, 2 d)
        words = text.tokens, text.mask, sentence
        if reads_alone(x) and len(x) == 1:
            x = x[0].contiguous()
            x = torch.stack(
                [
                    run_blocks(self.blocks, x, (h, w), *own, steps, band)
                    for own in zip(*words, strict=True)
                ]
            )
        else:
            x = x.expand(e, -1, -1, -1)
            for block in self.blocks:
                x = block(x, (h, w), *words, steps, band)
        x = self.norm(x)  # (E, T, hh, d)
        heat = self.heatmap(x).squeeze(3)  # (E, T, hh)
        found = (heat.softmax(dim=2).unsqueeze(2) @ x).squeeze(2)  # (E, T, d)
        context = text.context.unsqueeze(1).expand(-1, t, -1)
        frame = self.frame(torch.cat([found, x.mean(dim=2), context], dim=2))
        if self.config.gap_codes == "masks":
            x = self._mix_gaps(x, times)
        tokens = x.view(e, t, h, w, d).permute(0, 1, 4, 2, 3)
        return ClipTokens(tokens, heat.view(e, t, h, w), frame)

    def embed_frames(
        self,
        features: FrameFeatures,
        frames: Tensor,
        times: Tensor,
        hidden: Tensor | None = None,
    ) -> Tensor:
        """The part of ``encode_clip`` without text: each frame with its differences to others.

        Returns:
            (V, T, d, h, h); arguments as in ``encode_clip``.
        """
        coarse = pointwise(self.coarse_in, features.coarse.permute(0, 2, 3, 1))
        levels = coarse.permute(0, 3, 1, 2) + self.middle_in(features.middle)  # (N, d, h, h)
        # Small motions and rotations are visible at stride 4 and lost at stride 16.
        levels = levels + self.fine_in(features.fine)
        levels = self.stem_norm(levels.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        clip = levels[frames]  # (V, T, d, h, h)
        missing = None
        if self.config.codes_neighbours:
            missing = _beyond(times.shape[1], times.device).expand(len(times), -1, -1)
            missing = missing if hidden is None else missing | hidden
        parts = [clip]
        for number, other in enumerate(_neighbours(clip.shape[1], clip.device)):
            difference = clip - clip[:, other]
            if missing is not None:
                difference = difference.masked_fill(missing[:, :, number, None, None, None], 0)
            parts.append(difference)
        mixed = self.motion_in(torch.cat(parts, dim=2).flatten(0, 1)).view_as(clip)
        if missing is not None:
            mixed = mixed + self.missing_in(missing.to(clip.dtype))[..., None, None]
        if self.config.gap_codes == "all":
            mixed = mixed + self.gap_in(_gaps(times).to(clip.dtype))[..., None, None]
        return F.gelu(mixed) + clip

    def _seen_times(self, times: Tensor) -> Tensor:
        """(V or 1, T) what attention over time reads: frame numbers, or places in the clip."""
        if self.config.gap_codes == "all":
            return times
        return torch.arange(times.shape[1], device=times.device).unsqueeze(0)

    def _mix_gaps(self, x: Tensor, times: Tensor) -> Tensor:
        """Scale and shift tokens (E, T, hh, d) by the times to their neighbours.

        A difference means little without the time between the frames. The relevance of a frame
        does not read these tokens: a training clip's timing must not stand in for its content.
        """
        beyond = _beyond(times.shape[1], times.device)
        gaps = _gaps(times).masked_fill(beyond, 0)
        codes = torch.cat([gaps, beyond.expand_as(gaps)], dim=2).to(x.dtype)  # (V, T, 12)
        scale, shift = self.gap_out(codes).unsqueeze(2).chunk(2, dim=3)  # (V, T, 1, d) each
        return x * (1 + scale) + shift

    def relevance(self, frame: Tensor, times: Tensor) -> Tensor:
        """(E, T) logits of "this frame lies in the moment", from frame tokens (E, T, d)."""
        band = band_mask(frame.shape[1], self.config.relevance_radius, frame.device)
        steps = self._seen_times(times)
        mixed = frame + self.relevance_attention(frame, times=steps, band=band)
        return self.relevance_head(mixed).squeeze(2)

    def guide(self, tokens: Tensor, frame: Tensor, context: Tensor, motion: Tensor) -> Guidance:
        """Residuals and prompts of B guided items.

        Args:
            tokens: (B, d, h, h).
            frame: (B, d).
            context: (B, d) the items' sentences.
            motion: (B, d).
        """
        middle = F.interpolate(tokens, scale_factor=2, mode="bilinear", align_corners=False)
        places = tokens.permute(0, 2, 3, 1)
        reduced = pointwise(self.fine_reduce, places).permute(0, 3, 1, 2)
        fine = F.interpolate(reduced, scale_factor=4, mode="bilinear", align_corners=False)
        inner = [F.gelu(self.prompt_in(torch.cat([frame, part], 1))) for part in (context, motion)]
        prompts = torch.stack([self.context_out(inner[0]), self.motion_out(inner[1])], dim=1)
        return Guidance(
            fine=self.fine_out(F.gelu(fine)),
            middle=self.middle_out(middle),
            coarse=pointwise(self.coarse_out, places).permute(0, 3, 1, 2),
            prompts=prompts,
        )


def _neighbours(length: int, device: torch.device) -> Iterator[Tensor]:
    """Place (T,) of each frame's neighbours, one after another; at the ends, the nearest one."""
    place = torch.arange(length, device=device)
    for apart in DIFFERENCES:
        for other in (place - apart, place + apart):
            yield other.clamp(0, length - 1)


def _beyond(length: int, device: torch.device) -> Tensor:
    """(T, 6) True where a neighbour lies beyond the clip, in the order of ``_neighbours``."""
    place = torch.arange(length, device=device)
    sides = [side for apart in DIFFERENCES for side in (place < apart, place >= length - apart)]
    return torch.stack(sides, dim=1)


def _gaps(times: Tensor) -> Tensor:
    """(V, T, 6) logarithms of the times to the neighbours; 0 where that is the frame itself."""
    others = _neighbours(times.shape[1], times.device)
    return torch.stack([(times - times[:, other]).abs() for other in others], dim=2).log1p()

"""The whole model: a frozen encoder, an adapter, and SAM 2's memory and decoder trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from stages.core.model.adapter import Adapter, ClipView, EncodedText
from stages.core.model.backbones.backbone import NO_OBJECT, Backbone, Decoded
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.memory import MemoryTokens
from stages.core.model.config import ModelConfig
from stages.core.model.segmenter import Item, Segmenter, concat_decoded, plan_tracks, segment
from stages.core.model.text import TextBatch

TRAINED_PARTS = (
    "memory_attention",
    "mask_decoder",
    "memory_encoder",
    "spatial_perceiver",
    "object_pointer_proj",
    "temporal_positional_encoding_projection_layer",
    "memory_temporal_positional_encoding",
    "no_memory_embedding",
)
"""Parts of SAM 2 that TGL trains: memory attention, mask decoder, memory encoder (with EdgeTAM's
perceiver), and the small tensors that belong to reading the memory."""
FROZEN_INSIDE = ("mask_decoder.conv_s0", "mask_decoder.conv_s1")
"""Projections that run with the encoder, so that features can be shared and cached."""
GATE_ONLY = ("no_object_pointer", "occlusion_spatial_embedding_parameter")
"""Codes that only the object-score gate uses; they get a gradient if the gate is always on."""


@dataclass(frozen=True)
class ClipOutput:
    """What the model says of T frames for each of E sentences.

    Attributes:
        mask_logits: (E, T, s, s) raw logits of the chosen candidate, not gated (where several
            moments of a sentence were run apart: the highest of their gated logits).
        candidates: (E, T, M, s, s).
        iou: (E, T, M) predicted IoU of the candidates, 0..1.
        object_score_logits: (E, T) "the target is visible".
        relevance_logits: (E, T) "the frame lies in the moment".
        heatmap_logits: (E, T, h, h) "the target is here".
        guided: (E, T) bool, frames that took the language-guided path.
    """

    mask_logits: Tensor
    candidates: Tensor
    iou: Tensor
    object_score_logits: Tensor
    relevance_logits: Tensor
    heatmap_logits: Tensor
    guided: Tensor

    def masks(self, *, gate: bool = True) -> Tensor:
        """(E, T, s, s) bool; with the gate, empty where the object score says "not visible"."""
        masks = self.mask_logits > 0
        if not gate:
            return masks
        return masks & (self.object_score_logits > 0)[:, :, None, None]


class AdapterPath:
    """The trained language path: residuals and prompts from the adapter.

    Args:
        backbone: SAM 2.
        adapter: trained.
        view: what the adapter saw of the clips.
        text: of the E sentences.
        multimask: three candidates instead of one.
    """

    def __init__(
        self,
        backbone: Backbone,
        adapter: Adapter,
        view: ClipView,
        text: EncodedText,
        *,
        multimask: bool,
    ):
        self.backbone = backbone
        self.adapter = adapter
        self.view = view
        self.text = text
        self.multimask = multimask

    def answer(
        self, items: Sequence[Item], features: FrameFeatures, memory: MemoryTokens | None
    ) -> Decoded:
        """See ``LanguagePath``."""
        device = features.coarse.device
        rows = torch.tensor([item.expression for item in items], device=device)
        places = torch.tensor([item.position for item in items], device=device)
        guidance = self.adapter.guide(
            self.view.tokens[rows, places],
            self.view.frame[rows, places],
            self.text.context[rows],
            self.text.motion[rows],
        )
        return segment(
            self.backbone,
            guidance.added_to(features),
            memory,
            multimask=self.multimask,
            prompts=guidance.prompts,
        )


class TglModel(nn.Module):
    """Temporally grounded learning on SAM 2 (paper, figure 3).

    Args:
        config: see ``ModelConfig``.
        backbone: SAM 2; its image encoder is frozen here.
        text_dim: D, the width of the text encoder's output.
    """

    def __init__(self, config: ModelConfig, backbone: Backbone, text_dim: int):
        super().__init__()
        self.config = config
        self.backbone = backbone
        self.text_dim = text_dim
        self.adapter = Adapter(config, backbone.channels, text_dim)
        # In eval mode this would fall back to mask tokens that single-mask training never touches.
        backbone.sam.mask_decoder.dynamic_multimask_via_stability = False
        for name, parameter in backbone.sam.named_parameters():
            parameter.requires_grad_(_is_trained(name, config))

    def train(self, mode: bool = True) -> TglModel:
        """As usual, but the frozen image encoder stays in eval mode (stochastic depth)."""
        super().train(mode)
        self.backbone.sam.vision_encoder.eval()
        return self

    @property
    def gate(self) -> bool:
        """SAM 2's hard object-score gate is on."""
        if self.config.object_gate == "eval":
            return not self.training
        return self.config.object_gate == "always"

    def parameter_groups(self) -> dict[str, dict[str, nn.Parameter]]:
        """Parameters by name: "new" (the adapter), "pretrained" (trained on), "frozen"."""
        groups: dict[str, dict[str, nn.Parameter]] = {"new": {}, "pretrained": {}, "frozen": {}}
        for name, parameter in self.named_parameters():
            if not parameter.requires_grad:
                groups["frozen"][name] = parameter
            elif name.startswith("adapter."):
                groups["new"][name] = parameter
            else:
                groups["pretrained"][name] = parameter
        return groups

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> FrameFeatures:
        """Frozen features of frames (T, 3, S, S); no gradient."""
        return self.backbone.encode(pixels)

    def look(
        self,
        features: FrameFeatures,
        text: TextBatch,
        *,
        frames: Tensor | None = None,
        times: Tensor | None = None,
    ) -> tuple[ClipView, EncodedText]:
        """The adapter's reading of clips; arguments as in ``clip``."""
        text.check_dim(self.text_dim)
        frames, times = _clip_index(features, frames, times)
        encoded = self.adapter.text(text)
        return self.adapter.look(features, frames, times, encoded), encoded

    def relevance(
        self,
        features: FrameFeatures,
        text: TextBatch,
        *,
        frames: Tensor | None = None,
        times: Tensor | None = None,
    ) -> Tensor:
        """(E, T) logits of "this frame lies in the moment"; arguments as in ``clip``."""
        view, _ = self.look(features, text, frames=frames, times=times)
        return self.adapter.relevance(view.frame, _clip_index(features, frames, times)[1])

    def clip(
        self,
        features: FrameFeatures,
        text: TextBatch,
        relevant: Tensor,
        *,
        frames: Tensor | None = None,
        times: Tensor | None = None,
        mdp: bool = True,
        per_moment: bool | None = None,
    ) -> ClipOutput:
        """Both paths over whole clips.

        Args:
            features: of N frames.
            text: E sentences.
            relevant: (E, T) bool, the frames to guide.
            frames: (E, T) indices into ``features``; default: all sentences share frames 0..N-1.
            times: (E, T) or (T,) ascending frame numbers in the video; default 0..T-1.
            mdp: False guides and writes every frame, in order of time, whatever ``relevant`` says.
            per_moment: a bank for each contiguous moment; default: as configured in eval mode,
                one bank in training.

        Raises:
            SchemaMismatch: the text has another width than the model was made for.
        """
        view, encoded = self.look(features, text, frames=frames, times=times)
        frames, times = _clip_index(features, frames, times)
        e, t = len(text), frames.shape[1]
        if tuple(relevant.shape) != (e, t):
            raise ValueError(f"relevant has shape {tuple(relevant.shape)}, expected {(e, t)}")
        guided = relevant.bool() if mdp else torch.ones_like(relevant, dtype=torch.bool)
        if per_moment is None:
            per_moment = self.config.per_moment_banks and not self.training
        tracks = plan_tracks(guided.cpu().numpy(), per_moment=per_moment)
        language = AdapterPath(
            self.backbone, self.adapter, view, encoded, multimask=self.config.multimask
        )
        collected = _Collected(len(tracks), t)
        rows = frames.expand(e, -1)

        def fetch(items: Sequence[Item]) -> FrameFeatures:
            who = torch.tensor([item.expression for item in items], device=rows.device)
            where = torch.tensor([item.position for item in items], device=rows.device)
            return features[rows[who, where]]

        segmenter = Segmenter(self.backbone, self.config, gate=self.gate)
        numbers = np.broadcast_to(times.cpu().numpy(), (e, t))
        segmenter.run(tracks, numbers, fetch, language, collected.add)
        answer = collected.merged([track.expression for track in tracks], e, gate=self.gate)
        return ClipOutput(
            mask_logits=answer.mask_logits.unflatten(0, (e, t)),
            candidates=answer.candidates.unflatten(0, (e, t)),
            iou=answer.iou.unflatten(0, (e, t)),
            object_score_logits=answer.object_score.view(e, t),
            relevance_logits=self.adapter.relevance(view.frame, times),
            heatmap_logits=view.heatmap,
            guided=guided,
        )


class _Collected:
    """Gathers the answers of (track, position) items, which come in any order."""

    def __init__(self, tracks: int, length: int):
        self.shape = (tracks, length)
        self.keys: list[int] = []
        self.parts: list[Decoded] = []

    def add(self, items: Sequence[Item], decoded: Decoded, guided: bool) -> None:
        """See ``Emit``."""
        self.keys += [item.track * self.shape[1] + item.position for item in items]
        self.parts.append(decoded)

    def merged(self, owners: Sequence[int], expressions: int, *, gate: bool) -> Decoded:
        """Answers of E * T rows; several tracks of one sentence are united.

        Args:
            owners: the sentence of each track, ascending.
            expressions: E.
            gate: blank what a track's own object score calls absent, before the union.
        """
        everything = concat_decoded(self.parts)
        order = torch.empty(len(self.keys), dtype=torch.long)
        order[torch.tensor(self.keys)] = torch.arange(len(self.keys))
        ordered = _rows(everything, order.to(everything.iou.device))
        if len(owners) == expressions:
            return ordered
        return _union(ordered, owners, expressions, self.shape[1], gate=gate)


def _rows(decoded: Decoded, index: Tensor) -> Decoded:
    return Decoded(
        decoded.candidates[index],
        decoded.iou[index],
        decoded.tokens[index],
        decoded.object_score[index],
    )


def _union(
    decoded: Decoded, owners: Sequence[int], expressions: int, length: int, *, gate: bool
) -> Decoded:
    """Unite the tracks of each sentence: rows (tracks * T) become rows (E * T), one candidate."""
    logits = decoded.mask_logits.unflatten(0, (-1, length))  # (tracks, T, s, s)
    score = decoded.object_score.view(-1, length)  # (tracks, T)
    best = decoded.iou.amax(dim=1).view(-1, length)
    owner = torch.tensor(owners, device=score.device)
    if gate:
        several = (owner.bincount(minlength=expressions)[owner] > 1).view(-1, 1, 1, 1)
        absent = (score <= 0)[:, :, None, None]
        logits = torch.where(several & absent, NO_OBJECT, logits)
    pick = [owner == row for row in range(expressions)]
    masks = torch.cat([logits[own].amax(dim=0) for own in pick])  # (E * T, s, s)
    return Decoded(
        candidates=masks.unsqueeze(1),
        iou=torch.cat([best[own].amax(dim=0) for own in pick]).unsqueeze(1),
        tokens=decoded.tokens[: expressions * length, :1],
        object_score=torch.cat([score[own].amax(dim=0) for own in pick]),
    )


def _clip_index(
    features: FrameFeatures, frames: Tensor | None, times: Tensor | None
) -> tuple[Tensor, Tensor]:
    """(V, T) frame indices and (V or 1, T) times, with their defaults filled in."""
    device = features.coarse.device
    if frames is None:
        frames = torch.arange(len(features), device=device)
    frames = frames.to(device)
    if frames.ndim == 1:
        frames = frames.unsqueeze(0)
    if times is None:
        times = torch.arange(frames.shape[1], device=device)
    times = times.to(device)
    if times.ndim == 1:
        times = times.unsqueeze(0)
    return frames, times


def _is_trained(name: str, config: ModelConfig) -> bool:
    if name.startswith(FROZEN_INSIDE):
        return False
    if name.startswith(GATE_ONLY):
        return config.object_gate == "always"
    return name.startswith(TRAINED_PARTS)

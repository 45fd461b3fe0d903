"""The whole model: a frozen encoder, an adapter, and SAM 2's memory and decoder trained on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from stages.core.model.adapter.adapter import Adapter, ClipTokens, EncodedText
from stages.core.model.adapter.path import AdapterPath, TokenSource
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.clip_output import ClipOutput, merge_tracks
from stages.core.model.config import ModelConfig, SegmenterConfig, TrackThresholds
from stages.core.model.dual_path.segmenter import Segmenter
from stages.core.model.dual_path.tracks import Item, plan_tracks
from stages.core.model.original import OriginalWeights
from stages.core.model.text import TextBatch
from stages.core.model.track_head.head import TrackHead
from stages.core.model.track_head.look import look_width


class TglModel(nn.Module):
    """Temporally grounded learning on SAM 2 (paper, figure 3).

    Args:
        config: sizes of the adapter.
        backbone: SAM 2; its image encoder is frozen here.
        text_dim: D, the width of the text encoder's output.
        segmenter: how clips are segmented in training, and where a run does not say otherwise.
        keep_original: keep a copy of the backbone's weights that are trained, to track with.

    Attributes:
        original: that copy; None if there is none.
        track_head: None in a model without one.
        thresholds: of the track head; calibrated in training.
    """

    def __init__(
        self,
        config: ModelConfig,
        backbone: Backbone,
        text_dim: int,
        segmenter: SegmenterConfig | None = None,
        *,
        keep_original: bool = False,
    ):
        super().__init__()
        self.config = config
        self.segmenter = segmenter or SegmenterConfig()
        self.backbone = backbone
        self.text_dim = text_dim
        self.adapter = Adapter(config, backbone.channels, text_dim)
        self.track_head: TrackHead | None = None
        if config.track_width:
            # Fitted when the rest is trained, see stages/train/track_head.
            look = look_width(backbone.channels)
            self.track_head = TrackHead(config.adapter_width, look, text_dim, config.track_width)
            self.track_head.requires_grad_(False)
        self.thresholds = TrackThresholds()
        backbone.select_trained(gate=self.segmenter.trains_gate)
        self.original = OriginalWeights(backbone) if keep_original else None

    def train(self, mode: bool = True) -> TglModel:
        """As usual, but the frozen image encoder stays in eval mode (stochastic depth)."""
        super().train(mode)
        self.backbone.image_encoder.eval()
        return self

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

    def tracker(self) -> Backbone:
        """A backbone that tracks objects without a sentence, on the same frozen features.

        Its weights are those before training where the model keeps them, else the trained ones.
        """
        if self.original is None:
            return self.backbone
        return self.original.tracker(self.backbone)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> FrameFeatures:
        """Frozen features of normalised pixels (T, 3, S, S); no gradient."""
        return self.backbone.encode(pixels)

    @torch.no_grad()
    def encode_frames(self, frames: Tensor) -> FrameFeatures:
        """Frozen features of frames, uint8 (T, 3, S, S); no gradient."""
        return self.backbone.encode_frames(frames)

    def encode_clip(
        self,
        features: FrameFeatures,
        text: TextBatch,
        *,
        frames: Tensor | None = None,
        times: Tensor | None = None,
        hidden: Tensor | None = None,
    ) -> tuple[ClipTokens, EncodedText]:
        """The adapter's tokens of clips; arguments as in ``clip``.

        Raises:
            SchemaMismatch: the text has another width than the model was made for.
        """
        text.check_dim(self.text_dim)
        frames, times = _clip_index(features, frames, times)
        encoded = self.adapter.text(text)
        return self.adapter.encode_clip(features, frames, times, encoded, hidden), encoded

    def language_path(
        self, tokens: TokenSource, text: EncodedText, config: SegmenterConfig | None = None
    ) -> AdapterPath:
        """The adapter as the language path.

        Args:
            tokens: of the frames for E sentences.
            text: of the E sentences.
            config: default: the model's own.
        """
        multimask = (config or self.segmenter).multimask
        return AdapterPath(self.backbone, self.adapter, tokens, text, multimask=multimask)

    def relevance(
        self,
        features: FrameFeatures,
        text: TextBatch,
        *,
        frames: Tensor | None = None,
        times: Tensor | None = None,
    ) -> Tensor:
        """(E, T) logits of "this frame lies in the moment"; arguments as in ``clip``."""
        tokens, _ = self.encode_clip(features, text, frames=frames, times=times)
        return self.adapter.relevance(tokens.frame, _clip_index(features, frames, times)[1])

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
        visible: Tensor | None = None,
        hidden: Tensor | None = None,
    ) -> ClipOutput:
        """Run both paths over whole clips.

        Args:
            features: of N frames.
            text: E sentences.
            relevant: (E, T) bool, the frames to guide.
            frames: (E, T) indices into ``features``; default: all sentences share frames 0..N-1.
            times: (E, T) or (T,) ascending frame numbers in the video; default 0..T-1.
            mdp: False guides and writes every frame, in order of time, and ignores ``relevant``.
            per_moment: one bank per contiguous moment; default: as configured in eval mode,
                one bank in training.
            visible: (E, T) bool, frames with a visible target: those without are remembered as
                absent, whatever the object score says; default: as the score says, if configured.
            hidden: (E, T, 6) bool, neighbours in time that a frame is not compared with, as if the
                clip ended there; see ``adapter.DIFFERENCES``.

        Raises:
            SchemaMismatch: the text has another width than the model was made for.
        """
        tokens, encoded = self.encode_clip(
            features, text, frames=frames, times=times, hidden=hidden
        )
        frames, times = _clip_index(features, frames, times)
        shape = (len(text), frames.shape[1])
        if tuple(relevant.shape) != shape:
            raise ValueError(f"relevant has shape {tuple(relevant.shape)}, expected {shape}")
        guided = relevant.bool() if mdp else torch.ones_like(relevant, dtype=torch.bool)
        if per_moment is None:
            per_moment = self.segmenter.per_moment_banks and not self.training
        tracks = plan_tracks(guided.cpu().numpy(), times.cpu().numpy(), per_moment=per_moment)
        segmenter = Segmenter(self.backbone, self.segmenter, visible)
        fetch = partial(_fetch, features, frames.expand(shape))
        results = segmenter.run(tracks, fetch, self.language_path(tokens, encoded))
        gate = self.segmenter.gates(training=self.training)
        merged = merge_tracks(results, tracks, shape, gate=gate)
        relevance = self.adapter.relevance(tokens.frame, times)
        return ClipOutput.of(merged, relevance, tokens.heatmap, guided)


def _fetch(features: FrameFeatures, frames: Tensor, items: Sequence[Item]) -> FrameFeatures:
    """Features of items, whose clips' frames (E, T) are indices into ``features``."""
    rows = torch.tensor([item.expression for item in items], device=frames.device)
    positions = torch.tensor([item.position for item in items], device=frames.device)
    return features[frames[rows, positions]]


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

"""From a batch of clips to its losses, all in one forward.

Distributed data parallelism hooks into `forward`, so the loop over a clip's frames must not leave
it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stages.core.model.adapter.cache import AdapterCache
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.config import LossConfig
from stages.core.model.losses import clip_losses, heatmap_loss, relevance_loss
from stages.core.model.masks import mask_iou, resize_masks
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel
from stages.core.model.video_features import FramesInMemory
from stages.train.data.targets import fractions
from stages.train.data.windows import Window
from stages.train.loading.batch import LoadedClips


@dataclass(frozen=True)
class ClipBatch:
    """E sentences, each with a clip of T frames; several may share one.

    Attributes:
        features: of the frames of all clips.
        frames: int64 (E, T) places of each sentence's frames among them.
        text: of E sentences.
        times: int64 (E, T) positions in the video, ascending.
        guided: bool (E, T), frames of the language path.
        relevant: bool (E, T), labels of the relevance loss.
        targets: float (E, T, s, s), the share of each pixel that the target covers.
        weight: float (E, T) of each frame in the relevance loss.
        hidden: bool (E, T, 6), neighbours that the adapter does not see.
    """

    features: FrameFeatures
    frames: Tensor
    text: TextBatch
    times: Tensor
    guided: Tensor
    relevant: Tensor
    targets: Tensor
    weight: Tensor
    hidden: Tensor

    @staticmethod
    def of(clips: LoadedClips, features: FrameFeatures) -> ClipBatch:
        """Clips with their features, both on the device."""
        t = clips.times.shape[1]
        places = torch.arange(len(clips) * t, device=clips.times.device).view(len(clips), t)
        return ClipBatch(
            features=features,
            frames=places.repeat_interleave(clips.sentences, dim=0),  # (E, T)
            text=clips.text,
            times=clips.times,
            guided=clips.guided,
            relevant=clips.relevant,
            targets=fractions(clips.targets),
            weight=clips.weight,
            hidden=clips.hidden,
        )

    def sentence(self, number: int) -> ClipBatch:
        """One of the sentences, as a batch of one."""
        one = slice(number, number + 1)
        return ClipBatch(
            self.features[self.frames[number]],
            torch.arange(self.frames.shape[1], device=self.frames.device).unsqueeze(0),
            self.text[one],
            self.times[one],
            self.guided[one],
            self.relevant[one],
            self.targets[one],
            self.weight[one],
            self.hidden[one],
        )


@dataclass(frozen=True)
class WindowBatch:
    """A window of n consecutive frames, and E sentences about it.

    Attributes:
        features: of the n frames.
        text: of the E sentences.
        relevant: bool (E, n), labels.
    """

    features: FrameFeatures
    text: TextBatch
    relevant: Tensor

    @staticmethod
    def of(window: Window, features: FrameFeatures, device: torch.device) -> WindowBatch:
        """Take a window with its features."""
        return WindowBatch(features, window.text().to(device), window.relevant.to(device))


class ClipLearner(nn.Module):
    """The model with its losses.

    Args:
        mdp: dual-path propagation; False guides every frame.
        use_relevance: False uses no moment labels in the losses.
    """

    def __init__(self, model: TglModel, losses: LossConfig, *, mdp: bool, use_relevance: bool):
        super().__init__()
        self.model = model
        self._losses = losses
        self._mdp = mdp
        self._use_relevance = use_relevance
        self._gated_by_truth = model.segmenter.gated_by_truth

    def forward(
        self, batch: ClipBatch, window: WindowBatch | None = None, *, adapter_only: bool = False
    ) -> dict[str, Tensor]:
        """Loss terms and `total` as of ``clip_losses``, and `J`, the mean IoU of the clips.

        Args:
            window: adds the term "context", which `total` does not contain.
            adapter_only: only the terms without masks: "heatmap", "relevance", "total".
        """
        terms = self._clip_terms(batch, adapter_only=adapter_only)
        return terms if window is None else terms | {"context": self._context_loss(window)}

    def _clip_terms(self, batch: ClipBatch, *, adapter_only: bool) -> dict[str, Tensor]:
        guided = batch.guided if self._mdp else torch.ones_like(batch.guided)
        relevant = batch.relevant if self._use_relevance else None
        if adapter_only:
            return self._adapter_terms(batch, guided, relevant)
        out = self.model.clip(
            batch.features,
            batch.text,
            guided,
            frames=batch.frames,
            times=batch.times,
            mdp=self._mdp,
            hidden=batch.hidden,
            visible=batch.targets.flatten(2).any(2) if self._gated_by_truth else None,
        )
        terms = clip_losses(out, batch.targets, relevant, self._losses, weight=batch.weight)
        return terms | {"J": mean_iou(out.masks(), batch.targets)}

    def _context_loss(self, window: WindowBatch) -> Tensor:
        """Cross-entropy of the relevance of a window; its gradient ends at the frame tokens."""
        tokens = self._frame_tokens(window)  # (E, n, d)
        times = torch.arange(tokens.shape[1], device=tokens.device).unsqueeze(0)
        logits = self.model.adapter.relevance(tokens, times)
        return relevance_loss(logits, window.relevant, None)

    @torch.no_grad()
    def _frame_tokens(self, window: WindowBatch) -> Tensor:
        """(E, n, d), made as at inference: block by block, in little memory."""
        adapter = self.model.adapter
        adapter.eval()  # the faster way to the same numbers
        text = adapter.text(window.text)
        cache = AdapterCache(self.model, FramesInMemory(window.features), text, budget=0)
        tokens = cache.frame_tokens()
        adapter.train(self.training)
        return tokens

    def _adapter_terms(
        self, batch: ClipBatch, guided: Tensor, relevant: Tensor | None
    ) -> dict[str, Tensor]:
        view, _ = self.model.encode_clip(
            batch.features,
            batch.text,
            frames=batch.frames,
            times=batch.times,
            hidden=batch.hidden,
        )
        terms = {"heatmap": heatmap_loss(view.heatmap, batch.targets, guided)}
        total = terms["heatmap"] * self._losses.heatmap_weight
        if relevant is not None:
            logits = self.model.adapter.relevance(view.frame, batch.times)
            terms["relevance"] = relevance_loss(logits, relevant, batch.weight)
            total = total + terms["relevance"] * self._losses.relevance_weight
        return terms | {"total": total}


@torch.no_grad()
def mean_iou(masks: Tensor, targets: Tensor) -> Tensor:
    """Mean IoU over all frames, 1 where both are empty.

    Args:
        masks: bool (E, T, s, s).
        targets: (E, T, H, W) of any side; compared at the side of `masks`.
    """
    truth = resize_masks(targets, masks.shape[-1]) >= _HALF
    return mask_iou(masks, truth).mean()


_HALF = 0.5

"""The cost of one step, on tensors that may have shapes and no values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stages.core.model.adapter.adapter import COMPARED
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.cost.meters import LiveBytes, SavedBytes, count_flops
from stages.core.model.cost.shapes import CountingDevice
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel
from stages.train.build import side_of_targets
from stages.train.config import TrainConfig
from stages.train.data.features import CHUNK_FRAMES
from stages.train.data.windows import MOST_SENTENCES
from stages.train.learner import ClipBatch, ClipLearner, WindowBatch


@dataclass(frozen=True)
class StepCost:
    """The cost of the batches of one process in a step: one forward and backward pass.

    Attributes:
        encoder: FLOP of the frozen image encoder, which has no backward pass.
        forward: FLOP of everything else.
        backward: FLOP.
        activations: bytes that are kept for the backward pass.
        peak: most bytes at a time beside the weights and the optimiser's state: activations,
            features, gradients, and what the kernels return.
    """

    encoder: int
    forward: int
    backward: int
    activations: int
    peak: int

    @property
    def flops(self) -> int:
        """FLOP of all parts."""
        return self.encoder + self.forward + self.backward


@dataclass(frozen=True)
class StepShape:
    """What one pass works on.

    Attributes:
        clips: of one batch, each with its own frames.
        sentences: E of each clip.
        words: N tokens of each sentence.
        windowed: a window for the relevance head is added.
        adapter_only: the adapter alone is trained.
    """

    clips: int
    sentences: int = 1
    words: int = 16
    windowed: bool = False
    adapter_only: bool = False


def step_cost(
    model: TglModel, config: TrainConfig, device: CountingDevice, shape: StepShape
) -> StepCost:
    """Count one pass of a model on a device.

    The middle n+ frames of each clip are guided.

    Args:
        device: of the model; one of shapes takes no memory.
    """
    learner = ClipLearner(
        model, config.loss_config(), mdp=True, use_relevance=config.reads_moments
    ).train()
    model.zero_grad(set_to_none=True)
    live, saved = LiveBytes([*model.parameters(), *model.buffers()]), SavedBytes(model)
    with device.running(), live:
        with count_flops() as encoder:
            batch, window = _batches(model, config, device, shape)
        with count_flops() as forward, device.autocast(), saved.counting():
            terms = learner(batch, window, adapter_only=shape.adapter_only)
            total = terms["total"] + terms.pop("context", 0.0)
        saved.release()
        del batch, window, terms
        with count_flops() as backward:
            total.backward()
    model.zero_grad(set_to_none=True)
    return StepCost(
        encoder=encoder.get_total_flops(),
        forward=forward.get_total_flops(),
        backward=backward.get_total_flops(),
        activations=saved.total,
        peak=live.peak,
    )


def _batches(
    model: TglModel, config: TrainConfig, device: CountingDevice, shape: StepShape
) -> tuple[ClipBatch, WindowBatch | None]:
    """A batch of clips, with their frames encoded, and maybe a window."""
    e, t = shape.clips * shape.sentences, config.clip_frames
    masks = side_of_targets(config, model.backbone)
    place = np.arange(t)
    first = (t - config.relevant_frames) // 2
    guided = (place >= first) & (place < first + config.relevant_frames)
    if not config.mdp:
        guided = np.ones(t, bool)  # what --no-mdp makes of any clip
    frames = torch.arange(shape.clips * t).view(shape.clips, t)
    batch = ClipBatch(
        features=encoded(model, device, shape.clips * t, shape.clips * t),
        text=_text(e, shape.words, model.text_dim),
        times=torch.from_numpy(np.tile(place, (e, 1))),
        guided=torch.from_numpy(np.tile(guided, (e, 1))),
        relevant=torch.zeros(e, t, dtype=torch.bool),
        targets=torch.zeros(e, t, masks, masks),
        weight=torch.zeros(e, t),
        hidden=torch.zeros(e, t, COMPARED, dtype=torch.bool),
        frames=frames.repeat_interleave(shape.sentences, dim=0),
    )
    if not shape.windowed:
        return batch, None
    n = config.relevance_context
    window = WindowBatch(
        encoded(model, device, n, CHUNK_FRAMES),
        _text(MOST_SENTENCES, shape.words, model.text_dim),
        torch.zeros(MOST_SENTENCES, n, dtype=torch.bool),
    )
    return batch, window


def encoded(model: TglModel, device: CountingDevice, count: int, together: int) -> FrameFeatures:
    """Features of ``count`` frames, ``together`` of them encoded at a time."""
    side, parts = model.backbone.image_size, []
    for start in range(0, count, together):
        pixels = torch.zeros(min(together, count - start), 3, side, side, dtype=torch.uint8)
        with device.autocast():
            parts.append(model.encode_frames(pixels))
    return parts[0] if len(parts) == 1 else FrameFeatures.cat(parts)


def _text(sentences: int, words: int, dim: int) -> TextBatch:
    flags: Tensor = torch.zeros(sentences, words, dtype=torch.bool)
    return TextBatch(
        tokens=torch.zeros(sentences, words, dim),
        padding=flags,
        pooled=torch.zeros(sentences, dim),
        motion=flags,
    )

"""The cost of a training before it starts: arithmetic, memory, workers, and hours.

The model is built from config.json alone, and one step of it runs on tensors without values (see
``stages.core.model.cost``): the code that trains, with shapes only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.core.engine.runtime import BF16, FP32, Runtime
from stages.core.engine.workers.processes import place
from stages.core.model.adapter.adapter import COMPARED
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.cost.meters import LiveBytes, SavedBytes, count_flops, network_hours
from stages.core.model.cost.parts import Part, parts_of
from stages.core.model.cost.shapes import CountingDevice, ShapeDevice
from stages.core.model.text import TextBatch
from stages.core.model.tgl import TglModel
from stages.train.build import TextIndex, open_training, shares_of
from stages.train.config import TrainConfig, TrainInputs
from stages.train.data.features import CHUNK_FRAMES
from stages.train.data.loader import batches_in_memory
from stages.train.data.windows import MOST_SENTENCES
from stages.train.initial import outlined_model
from stages.train.learner import ClipBatch, ClipLearner, WindowBatch
from stages.train.schedule import freeze_parts

_SENTENCES_READ = 100
"""Sentences whose number of tokens is looked up; the longest one pads a batch."""
_FLOAT_BYTES, _HALF_BYTES = 4, 2
_MOMENTS_OF_ADAM = 2


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
    e, t, side = shape.clips * shape.sentences, config.clip_frames, model.backbone.image_size
    place = np.arange(t)
    first = (t - config.relevant_frames) // 2
    guided = (place >= first) & (place < first + config.relevant_frames)
    if not config.mdp:
        guided = np.ones(t, bool)  # what --no-mdp makes of any clip
    frames = torch.arange(shape.clips * t).view(shape.clips, t)
    batch = ClipBatch(
        features=_encoded(model, device, shape.clips * t, shape.clips * t),
        text=_text(e, shape.words, model.text_dim),
        times=torch.from_numpy(np.tile(place, (e, 1))),
        guided=torch.from_numpy(np.tile(guided, (e, 1))),
        relevant=torch.zeros(e, t, dtype=torch.bool),
        targets=torch.zeros(e, t, side, side, dtype=torch.uint8),
        still=torch.zeros(e, dtype=torch.bool),
        hidden=torch.zeros(e, t, COMPARED, dtype=torch.bool),
        frames=frames.repeat_interleave(shape.sentences, dim=0),
    )
    if not shape.windowed:
        return batch, None
    n = config.relevance_context
    window = WindowBatch(
        _encoded(model, device, n, CHUNK_FRAMES),
        _text(MOST_SENTENCES, shape.words, model.text_dim),
        torch.zeros(MOST_SENTENCES, n, dtype=torch.bool),
    )
    return batch, window


def _encoded(model: TglModel, device: CountingDevice, count: int, together: int) -> FrameFeatures:
    """Features of frames, encoded some together."""
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


@dataclass(frozen=True)
class Memory:
    """Bytes of one process on its device.

    Attributes:
        weights: parameters and tables, float32.
        gradients: of the trained parameters; part of ``peak``.
        optimiser: state of AdamW, and the averaged weights with --ema.
        activations: kept for the backward pass; part of ``peak``.
        peak: of a step beside weights and optimiser, see :class:`StepCost`.
    """

    weights: int
    gradients: int
    optimiser: int
    activations: int
    peak: int

    @property
    def total(self) -> int:
        """Most bytes at a time. A device's context and the gaps of its allocator come on top."""
        return self.weights + self.optimiser + self.peak


@dataclass(frozen=True)
class Loading:
    """What feeds one process.

    Attributes:
        workers: processes that load batches; 0 with cached features.
        batches: bytes of the batches that wait in shared memory.
        texts: bytes of the sentences' embeddings, of which every worker has a copy.
        frames: of all indexes.
        cache: bytes of the features of all frames, once, as float16.
        flipped: mirrored frames are cached too, which may double it.
    """

    workers: int
    batches: int
    texts: int
    frames: int
    cache: int
    flipped: bool


@dataclass(frozen=True)
class TrainCost:
    """What a training takes.

    Attributes:
        parts: parameters by part.
        step: of one pass of the whole model in one process.
        adapter_step, windowed_step: of the other kinds of passes, where the settings have them.
        memory: by precision.
        loading: of one process.
        clips: of a pass.
        clip_frames: T.
        accumulate: passes per optimiser step.
        processes: that train together.
        steps: optimiser steps of the whole model.
        adapter_steps: those of the adapter alone, before.
        sentences: of all indexes.
        steps_per_epoch: of the index with the longest epoch.
        tflops: assumed of each device.
        hours: of the network at that speed.
    """

    parts: list[Part]
    step: StepCost
    adapter_step: StepCost | None
    windowed_step: StepCost | None
    memory: dict[str, Memory]
    loading: Loading
    clips: int
    clip_frames: int
    accumulate: int
    processes: int
    steps: int
    adapter_steps: int
    sentences: int
    steps_per_epoch: float
    tflops: float
    hours: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, with the sums."""
        found = asdict(self)
        found["step"]["flops"] = self.step.flops
        for name, memory in self.memory.items():
            found["memory"][name]["total"] = memory.total
        return found


def train_cost(
    config: TrainConfig, inputs: TrainInputs, runtime: Runtime, *, tflops: float
) -> TrainCost:
    """Count what a training would take; nothing is written and no weight or frame is read.

    Under a launcher, each process counts the same.

    Args:
        tflops: speed of each device, in 10^12 FLOP per second.

    Raises:
        TglError: an input is missing or damaged, as for the training itself.
    """
    data = open_training(config, inputs)
    outline = partial(_outline, config, inputs, data[0].texts.dim)
    shape = StepShape(config.batch, words=_words(data))
    gpu = runtime.device != "cpu"
    costs: dict[str, StepCost] = {}
    for precision in (BF16, FP32):
        device = ShapeDevice(gpu=gpu, precision=precision)
        model = device.model(outline)
        costs[precision] = step_cost(model, config, device, shape)
    step = costs[FP32]
    windowed = adapter = None
    if config.reads_windows:
        windowed = step_cost(model, config, device, replace(shape, windowed=True))
    if config.adapter_steps:
        adapter = step_cost(model, config, device, replace(shape, adapter_only=True))
    parts = parts_of(model)
    processes = place().count
    flops = config.steps * step.flops
    flops += config.adapter_steps * adapter.flops if adapter is not None else 0
    flops *= config.accumulate
    if windowed is not None:
        flops += (windowed.flops - step.flops) * config.total_steps // config.context_every
    return TrainCost(
        parts=parts,
        step=step,
        adapter_step=adapter,
        windowed_step=windowed,
        memory={name: _memory(config, model, parts, cost) for name, cost in costs.items()},
        loading=_loading(config, runtime, data, model, device),
        clips=config.batch,
        clip_frames=config.clip_frames,
        accumulate=config.accumulate,
        processes=processes,
        steps=config.steps,
        adapter_steps=config.adapter_steps,
        sentences=sum(len(part.index.expressions) for part in data),
        steps_per_epoch=_steps_per_epoch(config, data, processes),
        tflops=tflops,
        hours=network_hours(flops, tflops),
    )


def _outline(config: TrainConfig, inputs: TrainInputs, text_dim: int) -> TglModel:
    model = outlined_model(config, inputs, text_dim)
    freeze_parts(model.parameter_groups(), config.freeze)
    return model


def _words(data: Sequence[TextIndex]) -> int:
    """Tokens of the longest of some sentences."""
    longest = 1
    for part in data:
        expressions = part.index.expressions
        every = -(-len(expressions) // _SENTENCES_READ)
        for expression in expressions[::every]:
            longest = max(longest, len(part.texts.get(expression.text).tokens))
    return longest


def _memory(config: TrainConfig, model: TglModel, parts: Sequence[Part], cost: StepCost) -> Memory:
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad) * _FLOAT_BYTES
    return Memory(
        weights=sum(part.bytes for part in parts),
        gradients=trained,
        optimiser=trained * (_MOMENTS_OF_ADAM + bool(config.ema)),
        activations=cost.activations,
        peak=cost.peak,
    )


def _loading(
    config: TrainConfig,
    runtime: Runtime,
    data: Sequence[TextIndex],
    model: TglModel,
    device: CountingDevice,
) -> Loading:
    """Count what the workers hold, and the features of all frames."""
    workers = 0 if config.cache_features else runtime.workers
    side = model.backbone.image_size
    channels = 1 if config.cache_features else 4  # the targets, and three of the frame
    clip = config.clip_frames * side**2 * channels
    frames = sum(video.num_frames for part in data for video in part.index.videos.values())
    with device.running():
        one = _encoded(model, device, 1, 1)
    row = sum(level.numel() for level in (one.fine, one.middle, one.coarse))
    return Loading(
        workers=workers,
        batches=batches_in_memory(workers, config.accumulate + 1) * config.batch * clip,
        texts=sum(part.texts.nbytes for part in data),
        frames=frames,
        cache=frames * row * _HALF_BYTES,
        flipped=config.flip > 0,
    )


def _steps_per_epoch(config: TrainConfig, data: Sequence[TextIndex], processes: int) -> float:
    """Optimiser steps until every sentence of every index had its turn."""
    weights = shares_of(config, data).weights
    longest = max(
        len(part.index.expressions) * sum(weights) / own
        for part, own in zip(data, weights, strict=True)
    )
    return longest / config.clips_per_step(processes)

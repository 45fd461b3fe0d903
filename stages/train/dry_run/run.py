"""The cost of a training before it starts: arithmetic, memory, workers, and hours.

The model is built from config.json alone, and one step of it runs on tensors without values (see
``stages.core.model.cost``): the code that trains, with shapes only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from stages.core.engine.runtime import BF16, FP32, Runtime
from stages.core.engine.workers.launcher import launched_processes
from stages.core.model.cost.meters import network_hours
from stages.core.model.cost.parts import Part, parts_of
from stages.core.model.cost.shapes import CountingDevice, ShapeDevice
from stages.core.model.tgl import TglModel
from stages.train.build import TextIndex, open_training, shares_of, side_of_targets
from stages.train.config import TrainConfig, TrainInputs
from stages.train.distributed import local_processes
from stages.train.dry_run.step import StepCost, StepShape, encoded, step_cost
from stages.train.initial import outlined_model
from stages.train.loading.loader import batches_in_memory, workers_of_process
from stages.train.schedule import freeze_parts

_SENTENCES_READ = 100
"""Sentences whose number of tokens is looked up; the longest one pads a batch."""
_FLOAT_BYTES, _HALF_BYTES = 4, 2
_MOMENTS_OF_ADAM = 2


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
        workers: processes that load batches.
        batches: bytes of the batches that wait in shared memory.
        texts: bytes of the sentences' embeddings, which all processes of a machine share.
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
    outline = partial(_outline, config, inputs, runtime, data[0].texts.dim)
    shape = StepShape(config.batch, config.sentences_per_clip, words=_words(data))
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
    processes = launched_processes()
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


def _outline(config: TrainConfig, inputs: TrainInputs, runtime: Runtime, text_dim: int) -> TglModel:
    model = outlined_model(config, inputs, text_dim)
    freeze_parts(model.parameter_groups(), config.freeze)
    if runtime.checkpoint_activations:
        model.backbone.recompute_activations()
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
    workers = workers_of_process(runtime, local_processes())
    frames = sum(video.num_frames for part in data for video in part.index.videos.values())
    with device.running():
        one = encoded(model, device, 1, 1)
    row = sum(level.numel() for level in (one.fine, one.middle, one.coarse))
    frame = 3 * model.backbone.image_size**2
    if config.cache_features:  # of some videos, of which clips have the features instead
        frame = max(frame, row * _HALF_BYTES)
    frame += config.sentences_per_clip * side_of_targets(config, model.backbone) ** 2
    clips = batches_in_memory(workers, config.accumulate + 1) * config.batch
    return Loading(
        workers=workers,
        batches=clips * config.clip_frames * frame,
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

"""The cost of propagation before it starts: arithmetic per frame and sentence, memory, and hours.

A video of typical length and sentences runs on tensors without values (see
``stages.core.model.cost``). No frame is read, and no weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from schemas.errors import ConfigError, CorruptInput
from stages.core.engine.runtime import BF16, FP32, Runtime
from stages.core.engine.workers.devices import device_names
from stages.core.index.index import Index
from stages.core.index.texts import TextStore
from stages.core.model import budgets
from stages.core.model.checkpoint import outline_checkpoint
from stages.core.model.cost.meters import network_hours
from stages.core.model.cost.parts import Part, parts_of
from stages.core.model.cost.shapes import ShapeDevice
from stages.propagate.config import PropagateConfig, PropagateInputs
from stages.propagate.dry_run.video import VideoCost, VideoShape, video_cost
from stages.propagate.jobs import Job, known_moments, plan_jobs

MOST_FRAMES = 32
"""Of the video that is run; a longer one costs the same per frame."""
USUAL_SHARE = 0.5
"""Of frames that are relevant, where the index has no moments."""
USUAL_OBJECTS = 4
"""That are tracked per video, where the index names no referents."""


@dataclass(frozen=True)
class PropagateCost:
    """What a run of propagate takes.

    Attributes:
        parts: parameters by part.
        video: a typical one, by precision; the FLOP are those of float32.
        weights: bytes of parameters and tables.
        features: bytes that frames and tokens may take (--feature-memory); None for the default.
        videos, frames, sentences, masks: of the index; a mask is one frame of one sentence.
        longest: frames of its longest video.
        flops: of all of it.
        processes: that share the videos.
        tflops: assumed of each device.
        hours: of the network at that speed.
    """

    parts: list[Part]
    video: dict[str, VideoCost]
    weights: int
    features: int | None
    videos: int
    frames: int
    sentences: int
    masks: int
    longest: int
    flops: float
    processes: int
    tflops: float
    hours: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, with the shares per frame, sentence and object."""
        found = asdict(self)
        for precision, cost in self.video.items():
            found["video"][precision] |= {
                "flops": cost.flops,
                "per_frame": cost.per_frame,
                "per_frame_and_sentence": cost.per_sentence,
                "per_frame_and_object": cost.per_object,
            }
        return found


def propagate_cost(
    config: PropagateConfig, inputs: PropagateInputs, runtime: Runtime, *, tflops: float
) -> PropagateCost:
    """Count what a run would take; nothing is written, and no weight or frame is read.

    Args:
        config: for the checkpoint, see ``PropagateConfig.for_checkpoint``.
        tflops: speed of each device, in 10^12 FLOP per second.

    Raises:
        ConfigError: the run would be online.
        TglError: an input is missing or damaged, as for the run itself.
    """
    inputs.check(config)
    if config.online:
        raise ConfigError(
            "a dry run counts whole videos", where="--online", hint="leave out one of the two"
        )
    index, texts = Index.open(inputs.index), TextStore.open(inputs.text)
    texts.require(expression.text for expression in index.expressions)
    jobs = plan_jobs(index, known_moments(index, inputs, config))
    if not jobs:
        raise CorruptInput("contains no sentences", where=inputs.index)
    objects = [_objects(job) if config.finds_tracks else 0 for job in jobs]
    shape = _typical(config, index, jobs, objects)
    outline = partial(outline_checkpoint, inputs.checkpoint, texts.dim)
    video: dict[str, VideoCost] = {}
    devices = device_names(runtime)
    for precision in (BF16, FP32):
        device = ShapeDevice(gpu="cpu" not in devices, precision=precision)
        model = device.model(outline)
        video[precision] = video_cost(model, config, device, shape)
    memory = config.feature_memory
    cost, parts, processes = video[FP32], parts_of(model), len(devices)
    frames = [job.video.num_frames for job in jobs]
    masks = sum(n * len(job.expressions) for n, job in zip(frames, jobs, strict=True))
    flops = cost.per_frame * sum(frames) + cost.per_sentence * masks
    flops += cost.per_object * sum(n * own for n, own in zip(frames, objects, strict=True))
    return PropagateCost(
        parts=parts,
        video=video,
        weights=sum(part.bytes for part in parts),
        features=None if memory is None else int(memory * budgets.GIGABYTE),
        videos=len(jobs),
        frames=sum(frames),
        sentences=sum(len(job.expressions) for job in jobs),
        masks=masks,
        longest=max(frames),
        flops=flops,
        processes=processes,
        tflops=tflops,
        hours=network_hours(flops / processes, tflops),
    )


def _objects(job: Job) -> int:
    """Objects of a video that its sentences name."""
    named = {anno_id for expression in job.expressions for anno_id in expression.anno_ids}
    return len(named) or USUAL_OBJECTS


def _typical(
    config: PropagateConfig, index: Index, jobs: Sequence[Job], objects: Sequence[int]
) -> VideoShape:
    """The video of middle length with the mean number of sentences and objects."""
    middle = sorted(jobs, key=lambda job: job.video.num_frames)[len(jobs) // 2].video
    shares = [
        index.relevant(*expression.key).mean()
        for expression in index.expressions
        if index.moments(*expression.key)
    ]
    share = float(np.mean(shares)) if shares else USUAL_SHARE
    return VideoShape(
        frames=min(middle.num_frames, MOST_FRAMES),
        sentences=max(1, round(sum(len(job.expressions) for job in jobs) / len(jobs))),
        relevant=1.0 if config.moments == "all" else share,
        objects=round(sum(objects) / len(jobs)),
        height=middle.height,
        width=middle.width,
    )

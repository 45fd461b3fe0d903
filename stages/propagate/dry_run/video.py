"""The cost of one video, which goes through the runner's own code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stages.core.engine.runtime import Runtime
from stages.core.index.index import Expression, Video
from stages.core.index.texts import TextEmbedding, TextStore
from stages.core.model.backbones.records import Prompts
from stages.core.model.cost.meters import LiveBytes, count_flops
from stages.core.model.cost.shapes import CountingDevice
from stages.core.model.tgl import TglModel
from stages.core.model.tracking.objects import track_objects
from stages.core.model.video_features import VideoFeatures
from stages.propagate.config import ANNOTATED, PropagateConfig
from stages.propagate.jobs import Job
from stages.propagate.routing import Route
from stages.propagate.runner import OfflineRunner

_WORDS = 16


@dataclass(frozen=True)
class VideoShape:
    """A video with its sentences.

    Attributes:
        frames: T.
        sentences: E.
        relevant: share of the frames that are guided, one run in the middle.
        objects: that are tracked through the video; 0 without tracks.
        height, width: of its frames.
    """

    frames: int
    sentences: int
    relevant: float
    objects: int = 0
    height: int = 1080
    width: int = 1920


@dataclass(frozen=True)
class VideoCost:
    """The cost of a video.

    Attributes:
        shape: of the video.
        encoder: FLOP of the image encoder.
        sentences: FLOP of the adapter and both paths.
        tracking: FLOP of tracking objects.
        peak: most bytes at a time beside the weights.
        encoded: frames that the encoder took, repeats counted.
    """

    shape: VideoShape
    encoder: int
    sentences: int
    tracking: int
    peak: int
    encoded: int

    @property
    def flops(self) -> int:
        """FLOP of all parts."""
        return self.encoder + self.sentences + self.tracking

    @property
    def per_frame(self) -> float:
        """FLOP of the encoder per frame."""
        return self.encoder / self.shape.frames

    @property
    def per_sentence(self) -> float:
        """FLOP of the adapter and both paths per frame and sentence."""
        return self.sentences / (self.shape.frames * self.shape.sentences)

    @property
    def per_object(self) -> float:
        """FLOP of tracking per frame and object."""
        return self.tracking / (self.shape.frames * max(1, self.shape.objects))


class _NoReader(Executor):
    """Gives blank frames in place of those that were to be read.

    Args:
        size: S.
    """

    def __init__(self, size: int):
        self._size = size

    def submit(self, function: Callable[..., Any], /, *_: Any, **__: Any) -> Future[Any]:
        """See ``Executor``."""
        done: Future[Any] = Future()
        done.set_result(torch.zeros(3, self._size, self._size, dtype=torch.uint8))
        return done


class _Sentences(TextStore):
    """Embeddings of any sentence, of one length."""

    def __init__(self, dim: int, words: int):
        self.dim = dim
        self._words = words

    def get(self, expression: str) -> TextEmbedding:
        """See ``TextStore``."""
        tokens = np.zeros((self._words, self.dim), np.float32)
        flags = np.zeros(self._words, bool)
        return TextEmbedding(("",) * self._words, tokens, tokens[0], flags)


def video_cost(
    model: TglModel,
    config: PropagateConfig,
    device: CountingDevice,
    shape: VideoShape,
    *,
    words: int = _WORDS,
) -> VideoCost:
    """Count one video with a model in eval mode.

    With tracks, irrelevant frames are left to tracking, as in the run itself.

    Args:
        device: of the model; one of shapes takes no memory.
        words: N tokens of each sentence.
    """
    job, routes = sample_job(shape)
    tracked = config.uses_tracks or shape.objects > 0
    runner = OfflineRunner(
        model,
        _Sentences(model.text_dim, words),
        replace(config, moments=ANNOTATED),
        runtime=Runtime(precision=device.precision),
        device=device.device,
        decoders=_NoReader(model.backbone.image_size),
    )
    live = LiveBytes([*model.parameters(), *model.buffers()])
    with (
        # In inference mode, torch's counters see einsum whole, and autocast does not reach into it.
        torch.no_grad(),
        device.running(),
        device.autocast(),
        live,
        closing(runner.features(job.video)) as features,
    ):
        with count_flops() as chunk:
            features.of([0])
        first = features.encoded
        with count_flops() as paths:
            segment = partial(_segment, runner, routes=routes, features=features, tracked=tracked)
            for _ in runner.in_batches(job, features, segment):
                pass
        before = features.encoded
        with count_flops() as tracking:
            _track(model, features, shape)
    each = chunk.get_total_flops() // first
    again = features.encoded - before
    return VideoCost(
        shape,
        each * features.encoded,
        paths.get_total_flops() - each * (before - first),
        tracking.get_total_flops() - each * again,
        live.peak,
        features.encoded,
    )


def sample_job(shape: VideoShape) -> tuple[Job, list[Route]]:
    """A video whose sentences are true of one run of frames each, at different places."""
    names = tuple(map(str, range(shape.frames)))
    size = shape.frames, shape.height, shape.width
    video = Video("video", *size, None, names, ".jpg", Path())
    length = max(1, round(shape.relevant * shape.frames))
    sentences, known = [], []
    for number in range(shape.sentences):
        start = number * (shape.frames - length) // max(1, shape.sentences - 1)
        moment = np.zeros(shape.frames, bool)
        moment[start : start + length] = True
        sentences.append(Expression("video", str(number), str(number), (), ("1",)))
        known.append(moment)
    return Job(video, sentences, known), [Route(moment, ANNOTATED) for moment in known]


def _segment(
    runner: OfflineRunner,
    job: Job,
    *,
    routes: Sequence[Route],
    features: VideoFeatures,
    tracked: bool,
) -> None:
    """Relevance and masks of some sentences, as in ``OfflineRunner`` and ``TrackRunner``.

    Args:
        tracked: unguided frames are left to tracking.
    """
    own = [routes[int(expression.expression_id)] for expression in job.expressions]
    tokens = runner.adapter_tokens(job, features)
    tokens.relevance()
    tracks = runner.planned(job, own)
    if tracked:
        tracks = [replace(track, others=()) for track in tracks]
    for _ in runner.results(tracks, features, tokens):
        pass


def _track(model: TglModel, features: VideoFeatures, shape: VideoShape) -> None:
    """Track objects from the middle of the video, in both directions."""
    if not shape.objects:
        return
    side = model.backbone.image_size
    middle = shape.frames // 2
    prompts = [{middle: Prompts(mask=torch.zeros(1, side, side))} for _ in range(shape.objects)]
    for _ in track_objects(model.backbone, features, prompts):
        pass

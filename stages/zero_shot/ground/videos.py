"""Searching one video with a detector, on one device of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import TglError
from stages.core.engine.failures import INPUT_FAILURES
from stages.core.engine.workers.devices import DeviceWorker
from stages.core.index.frame_files import read_video_frame, require_unchanged
from stages.core.index.index import Expression, Video
from stages.core.index.kept_features import Kept
from stages.zero_shot.ground.boxes import Boxes, Found
from stages.zero_shot.ground.config import GroundConfig
from stages.zero_shot.ground.detectors.keeping import keep_frames
from stages.zero_shot.ground.units import VideoCandidates

if TYPE_CHECKING:
    from torch import Tensor

    from stages.zero_shot.ground.detectors.detector import Detector, Limits

_CPU_BATCH, _BATCH = 1, 8
"""Pairs of a sentence and a frame at a time; larger batches gain nothing on a CPU."""
_AHEAD = 2
"""Batches of frames that are decoded and resized while one is searched."""


@dataclass(frozen=True)
class VideoJob:
    """A video to search.

    Attributes:
        video: with its frames.
        expressions: its sentences.
        phrases: the words to search for by sentence; None for the whole sentence.
        frames: positions of the frames to search.
        config: of the run.
        precision: of the network.
        threads: that decode frames.
        out: artifact that features are kept in, with ``config.keep_features``.
        weights: digest of the detector.
    """

    video: Video
    expressions: Sequence[Expression]
    phrases: Sequence[str | None]
    frames: Sequence[int]
    config: GroundConfig
    precision: str
    threads: int
    out: Path
    weights: str


@dataclass(frozen=True)
class VideoFailure:
    """A video with a frame that cannot be read, so that the others go on."""

    error: TglError


def search_video(job: VideoJob, worker: DeviceWorker) -> VideoCandidates | VideoFailure:
    """Find candidates of every sentence of a video.

    Sentences that are searched by the same words are searched once. `worker` advances by frames.

    Raises:
        TglError: the detector cannot be loaded or used.
    """
    config = job.config
    detector = worker.keep(
        "detector",
        (config.model, config.image_size, job.precision, job.weights),
        lambda: _load(config, worker.device, job.precision),
    )
    searched = [
        phrase or expression.text
        for phrase, expression in zip(job.phrases, job.expressions, strict=True)
    ]
    distinct = list(dict.fromkeys(searched))
    sentences = detector.encode(distinct)
    found: list[list[Boxes]] = []  # by frame and distinct sentence
    size = (job.video.height, job.video.width)
    limits = _limits(job.config, detector)
    side = detector.shared_size() if config.keep_features else None
    kept = None if side is None else Kept(side, detector.precision)
    try:
        _require_unchanged(job.video)
        for batch in _prepared(job, detector, limits.batch):
            hidden: list[Tensor] | None = None if kept is None else []
            done = len(found)
            found += detector.detect(batch, sentences, size, limits, hidden)
            if hidden is not None:
                keep_frames(job.out, job.video, job.frames[done : len(found)], hidden)
            worker.advance(len(batch))
    except _UnreadableFrame as failure:
        return VideoFailure(failure.error)
    cut = {text for text, is_cut in zip(distinct, sentences.cut, strict=True) if is_cut}
    cuts = sum(text in cut for text in searched)
    return _collected(job, found, searched, distinct, cuts, kept)


def _collected(
    job: VideoJob,
    found: Sequence[Sequence[Boxes]],
    searched: Sequence[str],
    distinct: Sequence[str],
    cut: int,
    kept: Kept | None,
) -> VideoCandidates:
    """Candidates inside the frames by sentence and frame; `found` is by frame and phrase."""
    columns = {text: column for column, text in enumerate(distinct)}
    items, dropped = [], 0
    for expression, phrase, text in zip(job.expressions, job.phrases, searched, strict=True):
        for row, frame in enumerate(job.frames):
            inside = found[row][columns[text]].inside(job.video.height, job.video.width)
            dropped += inside.dropped
            good = inside.at((inside.scores >= job.config.min_score).nonzero()[0])
            items.append(Found(expression.expression_id, frame, good, phrase))
    source = job.config.model.rstrip("/").rsplit("/", 1)[-1]
    return VideoCandidates.of(
        job.video.video_id,
        items,
        source,
        frames=len(job.frames),
        dropped=dropped,
        cut=cut,
        kept=kept,
    )


class _UnreadableFrame(Exception):
    """Tells the failure of a frame from one of the detector."""

    def __init__(self, error: TglError):
        self.error = error


def _prepared(job: VideoJob, detector: Detector, size: int) -> Iterator[list[Mapping[str, Any]]]:
    """Batches of frames, decoded once and prepared in threads ahead of their use.

    Raises:
        _UnreadableFrame: one is missing, damaged, or of another size than the index says.
    """
    with ThreadPoolExecutor(job.threads) as threads:
        waiting = iter(job.frames)
        ahead: list[Future[Mapping[str, Any]]] = []
        try:
            while True:
                room = size * _AHEAD - len(ahead)
                ahead += [
                    threads.submit(_prepare, job.video, frame, detector)
                    for frame in islice(waiting, room)
                ]
                if not ahead:
                    return
                yield [future.result() for future in ahead[:size]]
                del ahead[:size]
        finally:
            for future in ahead:
                future.cancel()


def _require_unchanged(video: Video) -> None:
    try:
        require_unchanged(video)
    except INPUT_FAILURES as error:
        raise _UnreadableFrame(error) from error


def _prepare(video: Video, frame: int, detector: Detector) -> Mapping[str, Any]:
    try:
        pixels = read_video_frame(video, frame)
    except INPUT_FAILURES as error:
        raise _UnreadableFrame(error) from error
    return detector.prepare(pixels)


def _load(config: GroundConfig, device: str, precision: str) -> Detector:
    from stages.core.model.device import pick_device
    from stages.zero_shot.ground.detectors.registry import load_detector

    return load_detector(
        config.model,
        device=pick_device(device),
        precision=precision,
        image_size=config.image_size or None,
    )


def _limits(config: GroundConfig, detector: Detector) -> Limits:
    from stages.zero_shot.ground.detectors.detector import Limits

    on_cpu = detector.device.type == "cpu"
    batch = config.batch or (_CPU_BATCH if on_cpu else _BATCH)
    return Limits(config.top_k, config.overlap, batch)

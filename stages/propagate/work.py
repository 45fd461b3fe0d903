"""Segmenting one video, on one device of a run.

Videos are segmented whole, because their sentences share the encoded frames. The sentences of a
video are marked as finished where they are made, in the folder that all processes see: whoever
takes a video over goes on after them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from schemas.errors import TglError
from stages.core.engine.runtime import Runtime
from stages.core.engine.workers.devices import DeviceWorker, NotLoaded
from stages.core.index.frame_files import require_unchanged
from stages.core.index.mask_writer import WRITERS, MaskWriter
from stages.core.index.texts import TextStore
from stages.core.model.checkpoint import load_for_texts
from stages.core.model.device import pick_device
from stages.core.model.tgl import TglModel
from stages.propagate.config import PropagateConfig, PropagateInputs
from stages.propagate.jobs import Job
from stages.propagate.online.runner import OnlineRunner
from stages.propagate.runner import OfflineRunner, Runner
from stages.propagate.tracks.given import GivenTracks
from stages.propagate.tracks.runner import TrackRunner
from stages.propagate.units import FinishedUnits, rows_by_expression


@dataclass(frozen=True)
class Setup:
    """Everything that the videos of a run have in common.

    Attributes:
        config, inputs, runtime: of the run.
        scratch: folder of the run.
        digests: of the checkpoint, the texts and the given tracks.
        threads: that read frames for one device.
    """

    config: PropagateConfig
    inputs: PropagateInputs
    runtime: Runtime
    scratch: Path
    digests: tuple[str | None, ...]
    threads: int


@dataclass(frozen=True)
class VideoWork:
    """A video to segment.

    Attributes:
        setup: of the run.
        job: the video with all of its sentences.
        finished: those that are finished, which others may add to.
        sentences: number of the others, when the run began.
    """

    setup: Setup
    job: Job
    finished: FinishedUnits
    sentences: int


@dataclass(frozen=True)
class VideoCounts:
    """Counts of one segmented video.

    Attributes:
        sentences: that were segmented; others were finished by a worker that died.
        routes: sentences by what routed them.
        tracks: counts of tracks, by name.
        threads: of torch, which can change last digits on a CPU.
    """

    sentences: int
    routes: Mapping[str, int]
    tracks: Mapping[str, int]
    threads: int


def segment_video(work: VideoWork, worker: DeviceWorker) -> VideoCounts | NotLoaded:
    """Segment the sentences of a video that are not finished; `worker` advances by sentences.

    Raises:
        MissingInput, CorruptInput, SchemaMismatch: the video's frames cannot be read.
    """
    job, finished = work.job, work.finished
    try:
        runner = worker.keep("runner", work.setup, lambda: _open(work.setup, worker.device))
    except TglError as error:
        return NotLoaded(error)
    missing = finished.missing(job)
    if len(missing) != work.sentences:
        worker.expect(len(missing))
    runner.routes.clear()
    runner.counts.clear()
    if missing:  # else a worker died right after it finished them
        _segment(runner, job.only(missing), finished, worker)
    return VideoCounts(
        len(missing), dict(runner.routes), dict(runner.counts), torch.get_num_threads()
    )


def _segment(runner: Runner, job: Job, finished: FinishedUnits, worker: DeviceWorker) -> None:
    """Segment sentences of a video."""
    by_id = {expression.expression_id: expression for expression in job.expressions}
    with ThreadPoolExecutor(WRITERS) as writers:
        writer = MaskWriter(finished.out.path, writers)
        require_unchanged(job.video)
        for rows in runner.run(job, writer):
            own = rows_by_expression(rows)
            for name, part in own.items():
                finished.add(by_id[name], part, writer)
            worker.advance(len(own))


def _open(setup: Setup, device_name: str) -> Runner:
    """Load the network on a device."""
    device = pick_device(device_name)
    texts = TextStore.open(setup.inputs.text)
    kind: Callable[..., Runner] = OnlineRunner if setup.config.online else OfflineRunner
    if setup.config.uses_tracks:
        tracks = setup.inputs.tracks
        kind = partial(TrackRunner, given=None if tracks is None else GivenTracks(tracks))
    return kind(
        load_model(setup.inputs.checkpoint, texts, setup.runtime, device),
        texts,
        setup.config,
        runtime=setup.runtime,
        device=device,
        decoders=ThreadPoolExecutor(setup.threads),
        scratch=setup.scratch,
    )


def load_model(folder: Path, texts: TextStore, runtime: Runtime, device: torch.device) -> TglModel:
    """Load a checkpoint on a device, compiled if the runtime says so.

    Raises:
        SchemaMismatch: the texts are of another width than the checkpoint's.
    """
    model = load_for_texts(folder, texts.dim)
    model.to(device)
    if runtime.compile:
        model.backbone.compile_parts()
    return model

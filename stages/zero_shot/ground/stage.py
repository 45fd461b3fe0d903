"""The stage ground: each video is a unit, each frame is read once for all sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property

import pyarrow.compute as pc

from schemas.errors import LostWorker, TglError
from schemas.layouts import CANDIDATES_TABLE
from schemas.receipts import canonical_json
from schemas.tables import CANDIDATES
from stages.core.engine.digest import text_digest
from stages.core.engine.failures import failure_lines, nothing_done
from stages.core.engine.progress import Progress, Task, counted
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workers.devices import map_on_devices, threads_per_device
from stages.core.engine.workspace import Workspace
from stages.core.index.frame_files import frames_digest
from stages.core.index.index import Index, Video
from stages.core.index.kept_features import Kept
from stages.core.model.loading.families import require_detector
from stages.core.model.loading.hub import require_model
from stages.zero_shot.ground.boxes import Found
from stages.zero_shot.ground.config import (
    MODEL_OPTION,
    NOUN,
    REFERENCE,
    GroundConfig,
    GroundInputs,
)
from stages.zero_shot.ground.counts import Counts
from stages.zero_shot.ground.detectors.keeping import (
    NOT_KEPT,
    kept_files,
    remove_features,
    require_both,
    write_note,
)
from stages.zero_shot.ground.given import read_given
from stages.zero_shot.ground.objects import TrueObjects
from stages.zero_shot.ground.phrases import Tag, noun_phrase, noun_tagger
from stages.zero_shot.ground.sampling import searched_frames
from stages.zero_shot.ground.units import VideoCandidates
from stages.zero_shot.ground.videos import VideoFailure, VideoJob, search_video


def run(
    config: GroundConfig,
    inputs: GroundInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Write candidates of every sentence; see :func:`stages.core.engine.execute.execute`."""
    inputs.check(config)
    index = Index.open(inputs.index)
    if inputs.candidates is not None:
        return _take_over(inputs, index, out, progress)
    units = _Units(index, config, inputs, out)
    waiting = units.waiting()
    failures = _search(waiting, units, runtime, progress)
    if failures and len(failures) == len(units.videos):
        raise nothing_done(failures, "video")
    counts = Counts()
    kept: dict[Video, Kept] = {}
    with out.table_writer(CANDIDATES_TABLE, CANDIDATES) as table:
        for video in units.videos:
            if video.video_id not in failures:
                found = units.take(video)
                table.write(found.rows)
                expressions = len(index.expressions_of(video.video_id))
                counts.add(video.video_id, found, expressions)
                if found.kept is not None:
                    kept[video] = found.kept
    counts.tell(progress)
    totals = counts.totals() | {"videos failed": len(failures)}
    if config.keep_features:
        write_note(out.path, config.model, kept)
        totals["frames with features"] = sum(
            len(searched_frames(video.num_frames, config)) for video in kept
        )
        if not kept:
            progress.warn(NOT_KEPT)
    if config.references:
        totals["true objects (reference)"] = sum(map(units.objects.count, units.videos))
    lines = failure_lines(failures)
    before = len(units.videos) - len(waiting)
    return Result(totals, lines, {"videos kept from before": before})


def _search(
    waiting: Sequence[Video], units: _Units, runtime: Runtime, progress: Progress
) -> dict[str, TglError]:
    """Finish the units of videos; the errors of those with a frame that cannot be read."""
    failures: dict[str, TglError] = {}
    config = units.config
    if not waiting:
        return failures
    if config.detects:
        units.index.require_frames()
        # Asked before torch is loaded, so that the message comes at once without a network.
        require_model(config.model, option=MODEL_OPTION, progress=progress, check=require_detector)
        if config.keep_features:
            require_both(config.model)
    frames = sum(len(searched_frames(video.num_frames, config)) for video in waiting)
    with progress.task("ground", frames, "frame") as task:
        search = _true_boxes if config.references else _detected
        for video, found in search(waiting, units, runtime, progress, task):
            if isinstance(found, VideoFailure):
                failures[video.video_id] = found.error
                units.forget(video)
            else:
                units.finish(video, found)
    return failures


class _Units:
    """The videos with sentences, and those that are finished.

    Attributes:
        path: of the artifact.
        videos: in the order of the index.
        weights: digest of the detector.
    """

    def __init__(self, index: Index, config: GroundConfig, inputs: GroundInputs, out: Workspace):
        self.index = index
        self.config = config
        self.inputs = inputs
        self.videos = [v for v in index.videos.values() if index.expressions_of(v.video_id)]
        self._out = out
        self.path = out.path
        self._shared = inputs.digests()
        self.weights = self._shared.get("model", self._shared.get("revision", ""))
        if not config.references:  # then a video's candidates depend on its own frames alone
            del self._shared["index"]
        self._keys = {video.video_id: self._key(video) for video in self.videos}

    @cached_property
    def objects(self) -> TrueObjects:
        """The objects of the videos, for a reference."""
        return TrueObjects(self.index, self.inputs.objects)

    def waiting(self) -> list[Video]:
        """Videos that are not finished."""
        return [video for video in self.videos if self._find(video) is None]

    def finish(self, video: Video, found: VideoCandidates) -> None:
        """Keep the candidates of a video, and its features if they were kept."""
        files = []
        if found.kept is not None:
            frames = searched_frames(video.num_frames, self.config)
            files = kept_files(self.path, video, frames)
        self._out.finish(video.video_id, self._keys[video.video_id], found.pack(), files)

    def forget(self, video: Video) -> None:
        """Remove the features of a video that failed half-way."""
        remove_features(self.path, video.video_id)

    def take(self, video: Video) -> VideoCandidates:
        """The candidates of a finished video.

        Raises:
            TglError: they were lost during the run.
        """
        found = self._find(video)
        if found is None:
            raise self._out.lost(f"the candidates of video {video.video_id}")
        return found

    def _find(self, video: Video) -> VideoCandidates | None:
        unit = self._out.finished(video.video_id, self._keys[video.video_id])
        return None if unit is None else VideoCandidates.unpack(unit)

    def _key(self, video: Video) -> str:
        """Digest of everything that a video's candidates depend on beside the config."""
        sentences = [[e.expression_id, e.text] for e in self.index.expressions_of(video.video_id)]
        about = [video.video_id, video.num_frames, video.height, video.width, frames_digest(video)]
        return text_digest(canonical_json([self._shared, about, sentences]))


def _detected(
    videos: Sequence[Video], units: _Units, runtime: Runtime, progress: Progress, task: Task
) -> Iterator[tuple[Video, VideoCandidates | VideoFailure]]:
    """Search videos with a detector, the longest first."""
    config = units.config
    tag = noun_tagger() if config.phrase == NOUN else None
    jobs = [_job(video, units, tag, runtime) for video in videos]
    jobs.sort(key=lambda job: len(job.frames) * len(job.expressions), reverse=True)
    results = map_on_devices(
        search_video,
        jobs,
        runtime=runtime,
        progress=progress,
        task=task,
        units=lambda job: len(job.frames),
    )
    for job, found in counted(results, len(jobs), task):
        if isinstance(found, LostWorker):
            found = VideoFailure(found)
        if isinstance(found, TglError):
            raise found  # of the detector, so the same for every video
        yield job.video, found


def _true_boxes(
    videos: Sequence[Video], units: _Units, runtime: Runtime, progress: Progress, task: Task
) -> Iterator[tuple[Video, VideoCandidates | VideoFailure]]:
    """Make candidates of true boxes, video by video."""
    for video in videos:
        frames = searched_frames(video.num_frames, units.config)
        boxes = units.objects.boxes(video, frames, units.config)
        found = [
            Found(expression.expression_id, frame, on_frame)
            for expression in units.index.expressions_of(video.video_id)
            for frame, on_frame in zip(frames, boxes, strict=True)
        ]
        yield video, VideoCandidates.of(video.video_id, found, REFERENCE, frames=len(frames))
        task.advance(len(frames))


def _job(video: Video, units: _Units, tag: Tag | None, runtime: Runtime) -> VideoJob:
    expressions = units.index.expressions_of(video.video_id)
    config, folder = units.config, units.inputs.model
    if runtime.scheduler is not None and folder is not None:  # machines work in other folders
        config = replace(config, model=str(folder.absolute()))
    return VideoJob(
        video,
        expressions,
        [None if tag is None else noun_phrase(expression.text, tag) for expression in expressions],
        searched_frames(video.num_frames, units.config),
        config,
        runtime.precision,
        threads_per_device(runtime),
        units.path,
        units.weights,
    )


def _take_over(inputs: GroundInputs, index: Index, out: Workspace, progress: Progress) -> Result:
    """Write candidates that were made elsewhere."""
    assert inputs.candidates is not None
    given = read_given(inputs.candidates, index)
    out.write_table(CANDIDATES_TABLE, given.table, CANDIDATES)
    counts = Counts(dropped=given.dropped)
    sizes = Counter(given.table.column("video_id").to_pylist())
    start = 0
    for video_id in index.videos:
        rows = given.table.slice(start, sizes[video_id])  # they are in the order of the index
        start += sizes[video_id]
        expressions = len(index.expressions_of(video_id))
        if expressions:
            frames = pc.count_distinct(rows.column("frame")).as_py()
            counts.add(video_id, VideoCandidates(rows, frames), expressions)
    counts.tell(progress)
    return Result(counts.totals() | {"boxes clipped to the frame": given.clipped})


STAGE = Stage(
    "ground",
    1,
    GroundConfig,
    GroundInputs,
    run,
    memory_hint="use a smaller --batch",
    network=True,
)

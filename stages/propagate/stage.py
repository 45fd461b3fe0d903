"""The stage propagate: masks of every sentence of an index from a checkpoint."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from schemas.errors import TglError
from schemas.layouts import MOMENTS_TABLE, OBJECTS_TABLE, PROPAGATION_TABLE
from schemas.tables import MOMENTS, OBJECTS, PROPAGATION
from schemas.wording import amount
from stages.core.engine.digest import artifact_digest, checkpoint_digest
from stages.core.engine.failures import failure_lines, input_failure, nothing_done
from stages.core.engine.progress import Progress, counted
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workers.devices import NotLoaded, map_on_devices, threads_per_device
from stages.core.engine.workspace import Workspace
from stages.core.index.index import Index
from stages.core.index.texts import TextStore
from stages.propagate.config import PropagateConfig, PropagateInputs
from stages.propagate.jobs import Job, known_moments, plan_jobs
from stages.propagate.tracks.given import GivenTracks
from stages.propagate.tracks.runner import LEFT, SENTENCES_WITHOUT
from stages.propagate.units import (
    TRACK_TABLES,
    FinishedUnits,
    finished_rows,
    finished_table,
    sentence_keys,
)
from stages.propagate.work import Setup, VideoCounts, VideoWork, segment_video


def run(
    config: PropagateConfig,
    inputs: PropagateInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Segment every sentence of an index in every frame of its video."""
    inputs.check(config)
    plan = _Plan.open(config, inputs, out, runtime)
    found = _segment(plan, runtime, progress)
    if found.failures and len(found.failures) == len(plan.jobs):
        raise nothing_done(found.failures, "video")
    done = [job for job in plan.jobs if job.video.video_id not in found.failures]
    masks = 0
    with out.table_writer(PROPAGATION_TABLE, PROPAGATION) as table:
        for rows in finished_rows(done, plan.finished):
            table.write(rows)
            masks += rows.num_rows
    counts = {"videos": len(done), "videos failed": len(found.failures), "masks": masks}
    if config.uses_tracks:
        objects, moments = (finished_table(spec, done, plan.finished) for spec in TRACK_TABLES)
        out.write_table(OBJECTS_TABLE, objects, OBJECTS)
        out.write_table(MOMENTS_TABLE, moments, MOMENTS)
        counts |= {"chosen tracks": objects.num_rows, "moments": moments.num_rows}
        _warn_of_tracks(found.tracks, config, progress)
    return Result(
        counts,
        failure_lines(found.failures),
        plan.counts() | found.run_counts(),
        threads=found.threads,
    )


MASK_RATE = "masks/s"
"""Frames times sentences per second, of the videos that are finished; all devices together."""
SHORTEST_SECONDS = 1e-3

STAGE = Stage(
    "propagate",
    1,
    PropagateConfig,
    PropagateInputs,
    run,
    memory_hint="use fewer --expressions-per-batch",
    network=True,
)


@dataclass(frozen=True)
class _Plan:
    """The work of a run.

    Attributes:
        jobs: one per video, in the order of the index.
        finished: sentences that are done.
        waiting: videos that are not finished, the longest (frames times sentences) first.
    """

    jobs: list[Job]
    finished: FinishedUnits
    waiting: list[VideoWork]

    @classmethod
    def open(
        cls, config: PropagateConfig, inputs: PropagateInputs, out: Workspace, runtime: Runtime
    ) -> _Plan:
        """Read the inputs and plan the work.

        Raises:
            TglError: an input is missing or damaged.
        """
        index, texts = Index.open(inputs.index), TextStore.open(inputs.text)
        index.require_frames()
        texts.require(expression.text for expression in index.expressions)
        jobs = plan_jobs(index, known_moments(index, inputs, config))
        given = None if inputs.tracks is None else GivenTracks(inputs.tracks)
        weights = checkpoint_digest(inputs.checkpoint)
        keys: dict[tuple[str, str], str] = {}
        for job in jobs:
            keys |= sentence_keys(job, texts, weights, together=config.uses_tracks, given=given)
        finished = FinishedUnits(out, keys, config.uses_tracks)
        tracks = None if inputs.tracks is None else artifact_digest(inputs.tracks)
        digests = (weights, artifact_digest(inputs.text), tracks)
        setup = Setup(config, inputs, runtime, out.path, digests, threads_per_device(runtime))
        waiting = [
            VideoWork(setup, job, finished.only(job), missing)
            for job in jobs
            if (missing := len(finished.missing(job)))
        ]
        waiting.sort(key=lambda work: work.job.video.num_frames * work.sentences, reverse=True)
        return cls(jobs, finished, waiting)

    def counts(self) -> dict[str, int]:
        """Counts of finished work that the run takes over."""
        sentences = sum(len(job.expressions) for job in self.jobs)
        return {
            "videos finished before": len(self.jobs) - len(self.waiting),
            "expressions finished before": sentences - sum(work.sentences for work in self.waiting),
        }


@dataclass
class _Found:
    """What became of the videos of a run.

    Attributes:
        failures: by video, in the order of the index.
        routes: sentences by what routed them.
        tracks: counts of tracks, by name.
        taken_over: sentences that were finished by a worker that died at their video.
        threads: of torch, None if they differ between devices.
    """

    failures: dict[str, TglError] = field(default_factory=dict)
    routes: Counter[str] = field(default_factory=Counter)
    tracks: Counter[str] = field(default_factory=Counter)
    taken_over: int = 0
    threads: int | None = None

    def add(self, work: VideoWork, counts: VideoCounts) -> None:
        """Add the counts of a video."""
        self.routes.update(counts.routes)
        self.tracks.update(counts.tracks)
        self.taken_over += work.sentences - counts.sentences

    def run_counts(self) -> dict[str, int]:
        """Counts of this run alone."""
        found = {f"routed by {source}": n for source, n in sorted(self.routes.items())}
        if self.taken_over:
            found["expressions finished by lost workers"] = self.taken_over
        return found | dict(self.tracks)


def _segment(plan: _Plan, runtime: Runtime, progress: Progress) -> _Found:
    """Segment the videos that are not finished; one that fails does not stop the others."""
    found, failures, threads = _Found(), {}, set()
    total = sum(work.sentences for work in plan.waiting)
    begun, masks = time.monotonic(), 0
    with progress.task("propagate", total, "expression") as task:
        results = map_on_devices(
            segment_video,
            plan.waiting,
            runtime=runtime,
            progress=progress,
            task=task,
            units=lambda work: work.sentences,
        )
        for work, result in counted(results, len(plan.waiting), task):
            if isinstance(result, NotLoaded):
                raise result.error
            if isinstance(result, TglError):
                failures[work.job.video.video_id] = input_failure(result)
                plan.finished.discard(work.job)
            else:
                found.add(work, result)
                threads.add(result.threads)
                masks += work.job.video.num_frames * result.sentences
                rate = masks / max(time.monotonic() - begun, SHORTEST_SECONDS)
                task.advance(0, **{MASK_RATE: rate})
    names = [job.video.video_id for job in plan.jobs]
    found.failures = {name: failures[name] for name in names if name in failures}
    threads = threads or {torch.get_num_threads()}
    found.threads = threads.pop() if len(threads) == 1 else None
    return found


def _warn_of_tracks(tracks: Mapping[str, int], config: PropagateConfig, progress: Progress) -> None:
    """Say where masks are empty for want of a track, of the sentences of this run."""
    without, left = tracks.get(SENTENCES_WITHOUT, 0), tracks.get(LEFT, 0)
    if without:
        progress.warn(
            f"no track fits the masks of {amount(without, 'sentences')}: they are left empty"
        )
    if left:
        progress.warn(
            f"{amount(left, 'parts of masks')} not tracked: --max-tracks is {config.max_tracks}"
        )

"""The stage propagate: masks of every sentence of an index from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from schemas.errors import CorruptInput, TglError
from schemas.layouts import MOMENTS_TABLE, OBJECTS_TABLE, PROPAGATION_TABLE
from schemas.tables import MOMENTS, OBJECTS, PROPAGATION
from schemas.wording import amount
from stages.core.engine.digest import checkpoint_digest
from stages.core.engine.execute import Outcome
from stages.core.engine.progress import Progress, SilentTask, Task
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workers.processes import Team, join
from stages.core.engine.workers.processes import together as run_together
from stages.core.engine.workspace import Workspace
from stages.core.index.index import Index
from stages.core.index.mask_writer import WRITERS
from stages.core.index.texts import TextStore
from stages.core.model.checkpoint import load_for_texts
from stages.core.model.device import pick_device
from stages.core.model.tgl import TglModel
from stages.propagate.config import PropagateConfig, PropagateInputs
from stages.propagate.jobs import Job, known_moments, plan_jobs
from stages.propagate.online.runner import OnlineRunner
from stages.propagate.runner import OfflineRunner, Runner
from stages.propagate.tracks.given import GivenTracks
from stages.propagate.tracks.runner import LEFT, SENTENCES_WITHOUT, TrackRunner
from stages.propagate.work import (
    TRACK_TABLES,
    FinishedUnits,
    WorkerStats,
    finished_rows,
    finished_table,
    process_videos,
)

_SCRATCH, _PREVIOUS = "scratch", "previous"


def run(
    config: PropagateConfig,
    inputs: PropagateInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Segment every sentence of an index in every frame of its video.

    Under a launcher this runs in the first process; see :func:`together`.
    """
    inputs.check(config)
    team = join()
    team.call({_SCRATCH: str(out.path), _PREVIOUS: [str(path) for path in out.previous]})
    setup = Setup.open(config, inputs, runtime, out)
    total = sum(len(job.expressions) for job in setup.jobs)
    with progress.task("propagate", total, "expression") as task:
        own = setup.work(team, task)
        whole = WorkerStats.sum([own, *(WorkerStats(**report) for report in team.reports())])
    failures = [whole.failures.get(job.video.video_id) for job in setup.jobs]
    if failures and all(failures):
        raise _nothing_done([line for line in failures if line is not None])
    masks = 0
    with out.table_writer(PROPAGATION_TABLE, PROPAGATION) as table:
        for rows in finished_rows(setup.jobs, setup.finished, whole.failures):
            table.write(rows)
            masks += rows.num_rows
    counts = {
        "videos": len(setup.jobs) - len(whole.failures),
        "videos failed": len(whole.failures),
        "masks": masks,
    }
    if config.uses_tracks:
        objects, moments = (
            finished_table(spec, setup.jobs, setup.finished, whole.failures)
            for spec in TRACK_TABLES
        )
        out.write_table(OBJECTS_TABLE, objects, OBJECTS)
        out.write_table(MOMENTS_TABLE, moments, MOMENTS)
        counts |= {"chosen tracks": objects.num_rows, "moments": moments.num_rows}
        _warn_of_tracks(whole, config, progress)
    lines = tuple(line for line in failures if line is not None)
    return Result(counts, lines, _run_counts(whole), threads=torch.get_num_threads())


STAGE = Stage(
    "propagate",
    1,
    PropagateConfig,
    PropagateInputs,
    run,
    memory_hint="use fewer --expressions-per-batch",
    network=True,
)


def _nothing_done(failures: list[str]) -> TglError:
    if len(failures) == 1:
        return CorruptInput(failures[0])
    return CorruptInput(
        f"{failures[0]} (the first of {len(failures)} videos, all of which failed; nothing was "
        "written)"
    )


def together(
    work: Callable[[], Outcome], config: PropagateConfig, inputs: PropagateInputs, runtime: Runtime
) -> Outcome | None:
    """Execute this stage in one process, or in all that a launcher started.

    Args:
        work: executes the stage with the same config, inputs and runtime; called in the first
            process only.

    Returns:
        The result of `work` in the first process, None in the others.
    """

    def follow(team: Team, order: dict[str, Any]) -> None:
        previous = [Path(path) for path in order[_PREVIOUS]]
        out = Workspace(Path(order[_SCRATCH]), STAGE.identity(config), "", previous)
        stats = Setup.open(config, inputs, runtime, out).work(team, SilentTask())
        team.report(stats.to_dict())

    return run_together(work, follow)


@dataclass(frozen=True)
class Setup:
    """Everything that a process of a run needs, equal in all of them.

    Attributes:
        config, inputs, runtime: of the run.
        jobs: one per video, in the order of the index.
        texts: embeddings of the sentences.
        finished: sentences that are done.
        given: tracks to make masks of.
    """

    config: PropagateConfig
    inputs: PropagateInputs
    runtime: Runtime
    jobs: list[Job]
    texts: TextStore
    finished: FinishedUnits
    given: GivenTracks | None

    @classmethod
    def open(
        cls, config: PropagateConfig, inputs: PropagateInputs, runtime: Runtime, out: Workspace
    ) -> Setup:
        """Read the inputs and plan the work.

        Raises:
            TglError: an input is missing or damaged.
        """
        index, texts = Index.open(inputs.index), TextStore.open(inputs.text)
        index.require_frames()
        texts.require(expression.text for expression in index.expressions)
        jobs = plan_jobs(index, known_moments(index, inputs, config))
        given = None if inputs.tracks is None else GivenTracks(inputs.tracks)
        finished = FinishedUnits(
            out,
            texts,
            checkpoint_digest(inputs.checkpoint),
            together=config.uses_tracks,
            given=given,
        )
        return cls(config, inputs, runtime, jobs, texts, finished, given)

    def work(self, team: Team, task: Task) -> WorkerStats:
        """Segment this process's part of the videos."""
        device = _device(self.runtime, team)
        model = load_model(self.inputs.checkpoint, self.texts, self.runtime, device)
        with (
            ThreadPoolExecutor(self.runtime.workers) as decoders,
            ThreadPoolExecutor(WRITERS) as writers,
        ):
            runner = self._kind()(
                model,
                self.texts,
                self.config,
                runtime=self.runtime,
                device=device,
                decoders=decoders,
                scratch=self.finished.out.path,
            )
            return process_videos(self.jobs, runner, self.finished, team, writers, task)

    def _kind(self) -> Callable[..., Runner]:
        """Makes the runner that the settings ask for."""
        if self.config.uses_tracks:
            return partial(TrackRunner, given=self.given)
        return OnlineRunner if self.config.online else OfflineRunner


def _device(runtime: Runtime, team: Team) -> torch.device:
    """The device of the runtime; of several GPUs, each process of a machine takes its own."""
    device = pick_device(runtime.device)
    if device.type == "cuda" and device.index is None and team.place.count > 1:
        return torch.device("cuda", team.place.local_rank % torch.cuda.device_count())
    return device


def _run_counts(stats: WorkerStats) -> dict[str, int | float]:
    """Counts of finished work that a run took over, and of the routes of the rest."""
    taken: dict[str, int | float] = {
        "videos finished before": stats.videos_before,
        "expressions finished before": stats.sentences_before,
    }
    routed = {f"routed by {source}": n for source, n in sorted(stats.routes.items())}
    return taken | routed | stats.tracks


def _warn_of_tracks(stats: WorkerStats, config: PropagateConfig, progress: Progress) -> None:
    """Say where masks are empty for want of a track, of the sentences of this run."""
    without, left = stats.tracks.get(SENTENCES_WITHOUT, 0), stats.tracks.get(LEFT, 0)
    if without:
        progress.warn(
            f"no track fits the masks of {amount(without, 'sentences')}: they are left empty"
        )
    if left:
        progress.warn(
            f"{amount(left, 'parts of masks')} not tracked: --max-tracks is {config.max_tracks}"
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

"""Several processes share the videos of a run, and a killed one costs no finished work."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from launching import launch_pair
from torch.distributed import HashStore

from schemas.layouts import PROPAGATION_TABLE
from schemas.receipts import read_receipt
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress, SilentTask
from stages.core.engine.runtime import Runtime
from stages.core.engine.workers.processes import Place, Team
from stages.core.engine.workspace import Workspace
from stages.core.index.index import Index
from stages.core.index.mask_writer import MaskWriter
from stages.core.index.propagation_rows import PropagationRows
from stages.core.index.texts import TextStore
from stages.propagate.config import PropagateConfig
from stages.propagate.jobs import Job, plan_jobs
from stages.propagate.stage import STAGE
from stages.propagate.work import FinishedUnits, WorkerStats, finished_rows, process_videos

KILLED = Path(__file__).with_name("killed_process.py")


def launch(
    world: Any, out: Path, python: list[str], *program: str
) -> subprocess.CompletedProcess[str]:
    """`tgl propagate` in two processes, as a launcher starts it."""
    inputs = world.inputs
    return launch_pair(
        *("propagate", inputs.index, inputs.text, inputs.checkpoint, out, "--tracks", "off"),
        *("--workers", "1", "--device", "cpu"),
        *("--moments", "annotated", "--expressions-per-batch", "1"),
        program=program,
        python=python,
    )


def content(folder: Path) -> dict[str, bytes]:
    """Every mask and the table."""
    files = [*folder.rglob("*.png"), folder / PROPAGATION_TABLE]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_two_processes_make_what_one_makes_and_survive_a_kill(
    world: Any, tmp_path: Path, python: list[str]
) -> None:
    """The second process is killed when each has finished a sentence; then the same run again."""
    config = PropagateConfig(tracks="off", moments="annotated", expressions_per_batch=1)
    runtime = Runtime(workers=1, device="cpu")
    alone, out = tmp_path / "alone", tmp_path / "together"
    execute(STAGE, config, world.inputs, alone, runtime=runtime, progress=SilentProgress())

    killed = launch(world, out, python, str(KILLED))
    assert killed.returncode != 0
    ours = [line for line in killed.stderr.splitlines() if line.startswith("error: ")]
    assert len(ours) == 1
    assert "stopped by the launcher, as when another process ends; run the same" in ours[0]
    assert not out.exists()

    done = launch(world, out, python, "-m", "tglcli")
    assert done.returncode == 0, done.stderr
    assert content(out) == content(alone)
    assert "2 expressions finished before" in done.stdout
    receipt = read_receipt(out)
    assert receipt is not None
    assert receipt.counts["masks"] == sum(world.lengths[video] for video, _ in world.sentences)


class Recorder:
    """A runner that writes black masks and notes its jobs."""

    def __init__(self, log: list[tuple[str, str]], turn: Any = None):
        self.routes: dict[str, int] = {"all": 1}
        self.counts: dict[str, int] = {}
        self._log = log
        self._turn = turn

    def run(self, job: Job, writer: MaskWriter) -> Iterator[pa.Table]:
        for expression in job.expressions:
            self._log.append(expression.key)
            for frame in range(job.video.num_frames):
                writer.write(job.video, expression, frame, np.zeros((2, 3), bool))
            writer.wait()
            if self._turn is not None:
                self._turn()
            frames = job.video.num_frames
            names, routes = [expression.expression_id] * frames, ["language"] * frames
            ones = np.ones(frames)
            own = (names, range(frames), routes, ones, ones, np.zeros(frames))
            yield PropagationRows(job.video.video_id, *own).table()


def member(world: Any, out: Path, team: Team, log: list[tuple[str, str]], turn: Any = None) -> Any:
    """One process's work, without a model; gives its counts, its jobs and its finished units."""
    jobs = plan_jobs(Index.open(world.inputs.index), {})
    texts = TextStore.open(world.inputs.text)
    finished = FinishedUnits(Workspace(out, {}, ""), texts, "weights")
    runner: Any = Recorder(log, turn)
    with ThreadPoolExecutor(1) as writers:
        stats = process_videos(jobs, runner, finished, team, writers, SilentTask())
    return stats, jobs, finished


def test_the_longest_video_comes_first_and_none_twice(world: Any, tmp_path: Path) -> None:
    """While the first process is at its first video, the second one takes all others."""
    store = HashStore()
    first, second = (Team(Place(rank, 2, rank), store) for rank in range(2))
    logs: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
    others: list[WorkerStats] = []

    def let_the_other_work() -> None:
        if not others:
            others.append(member(world, tmp_path, second, logs[1])[0])

    stats, jobs, finished = member(world, tmp_path, first, logs[0], let_the_other_work)
    assert logs[0] == [("a", "0"), ("a", "1"), ("a", "2")]
    assert logs[1] == [("b", "0"), ("c", "x y")]
    whole = WorkerStats.sum([stats, *others])
    assert (whole.videos, whole.sentences_before, whole.routes) == (3, 0, {"all": 2})
    rows = list(finished_rows(jobs, finished, whole.failures))
    assert [table.column("video_id")[0].as_py() for table in rows] == ["a", "b", "c"]


def test_a_dismissed_process_takes_no_further_video(world: Any, tmp_path: Path) -> None:
    store = HashStore()
    first, second = (Team(Place(rank, 2, rank), store) for rank in range(2))
    log: list[tuple[str, str]] = []
    stats, _, _ = member(world, tmp_path, second, log, first.dismiss)
    assert {video for video, _ in log} == {"a"}
    assert stats.videos == 1


def test_finished_sentences_are_not_recomputed(world: Any, tmp_path: Path) -> None:
    log: list[tuple[str, str]] = []
    team = Team(Place(), HashStore())
    member(world, tmp_path, team, log)
    assert log == list(world.sentences)
    (tmp_path / "a" / "1" / "00003.png").write_bytes(b"damaged")
    again: list[tuple[str, str]] = []
    stats, _, _ = member(world, tmp_path, Team(Place(), HashStore()), again)
    assert again == [("a", "1")]
    assert (stats.videos, stats.videos_before, stats.sentences_before) == (1, 2, 4)

"""map_cluster: relative paths, workers that die, a scheduler that is lost."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from schemas.errors import LostWorker, TglError
from stages.core.engine.workers.cluster import map_cluster


def told(prefix: Path, job: Path) -> tuple[str, str]:
    return str(prefix), str(job)


def test_relative_paths_become_absolute(scheduler: str) -> None:
    jobs = [Path("videos/a"), Path("/videos/b")]
    results = dict(map_cluster(partial(told, Path("out")), jobs, scheduler))
    assert results == {
        jobs[0]: (str(Path.cwd() / "out"), str(Path.cwd() / "videos/a")),
        jobs[1]: (str(Path.cwd() / "out"), "/videos/b"),
    }


def deadly(job: tuple[int, str]) -> int:
    """Job 1 kills its worker each time, job 2 the first time."""
    number, folder = job
    begun = Path(folder) / f"{number}"
    if number == 1 or (number == 2 and not begun.exists()):
        begun.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.slow
def test_jobs_of_dead_workers_are_tried_again_until_dask_gives_up(tmp_path: Path) -> None:
    """Jobs that only waited at these workers, which Dask blames too, are done all the same."""
    dask, distributed = map(pytest.importorskip, ("dask", "distributed"))
    once = dask.config.set({"distributed.scheduler.allowed-failures": 1})
    with (
        once,
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
    ):
        jobs = [(number, str(tmp_path)) for number in range(5)]
        results = {
            job: result for (job, _), result in map_cluster(deadly, jobs, cluster.scheduler_address)
        }
    failure = results.pop(1)
    assert isinstance(failure, LostWorker)
    assert str(failure).startswith("2 workers of the cluster died at it alone, the last at tcp")
    assert results == {0: 0, 2: 2, 3: 3, 4: 4}


def slow(job: int) -> int:
    time.sleep(0.2)
    return job


@pytest.mark.slow
def test_a_lost_scheduler_is_one_line() -> None:
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    )
    results = map_cluster(slow, range(100), cluster.scheduler_address)
    next(results)
    cluster.close()
    with pytest.raises(TglError, match="the Dask scheduler was lost; run the same command again"):
        list(results)

"""map_jobs: order, expected failures, bugs, bounded look-ahead, dead workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.errors import ConfigError, CorruptInput, LostWorker, TglError
from stages.core.engine.runtime import Runtime
from stages.core.engine.workers.pool import map_jobs

PATIENCE_SECONDS = 60
HERE = Path(__file__).parent


def double(number: int) -> int:
    if number == 3:
        raise CorruptInput("is three", where="job")
    return 2 * number


def bug(number: int) -> int:
    raise ZeroDivisionError(number)


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def deadly(job: tuple[int, str]) -> int:
    """Note that a job begins. Job 1 kills its worker each time, job 2 the first time."""
    number, folder = job
    begun = len(list(Path(folder).glob(f"{number}-*")))
    (Path(folder) / f"{number}-{begun}").touch()
    return die(number) if number == 1 or (number, begun) == (2, 0) else number


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", ["process", "thread"])
def test_results_and_failures_come_with_their_jobs(workers: int, kind: str) -> None:
    found = dict(map_jobs(double, range(6), runtime=Runtime(workers=workers), kind=kind))
    failure = found.pop(3)
    assert isinstance(failure, CorruptInput)
    assert found == {0: 0, 1: 2, 2: 4, 4: 8, 5: 10}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bug_keeps_its_type(workers: int) -> None:
    with pytest.raises(ZeroDivisionError):
        list(map_jobs(bug, [1], runtime=Runtime(workers=workers), kind="thread"))


def test_a_bug_in_a_process_keeps_its_type_and_shows_its_line() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(map_jobs(bug, [1], runtime=Runtime(workers=2)))
    assert "raise ZeroDivisionError(number)" in caught.value.__notes__[0]


def test_a_job_at_which_two_workers_die_fails_alone(tmp_path: Path) -> None:
    """Job 1 kills each worker that takes it, job 2 the first one; nothing is done twice else."""
    jobs = [(number, str(tmp_path)) for number in range(6)]
    results = {
        job: result for (job, _), result in map_jobs(deadly, jobs, runtime=Runtime(workers=2))
    }
    failure = results.pop(1)
    assert isinstance(failure, LostWorker)
    assert str(failure).startswith(
        "a worker process died at it twice (SIGKILL, most likely for lack of memory); finished work"
    )
    assert results == {0: 0, 2: 2, 3: 3, 4: 4, 5: 5}
    begun = sorted(path.name.split("-")[0] for path in tmp_path.iterdir())
    assert begun == ["0", "1", "1", "2", "2", "3", "4", "5"]


def test_a_job_whose_worker_died_is_tried_again_alone(tmp_path: Path) -> None:
    jobs = [(number, str(tmp_path)) for number in (2, 3, 4, 5)]
    order = [job for (job, _), _ in map_jobs(deadly, jobs, runtime=Runtime(workers=2))]
    assert sorted(order[:3]) == [3, 4, 5]
    assert order[3] == 2


def test_workers_that_always_die_end_the_run() -> None:
    with pytest.raises(TglError, match="worker processes die again and again; finished work is"):
        list(map_jobs(die, range(50), runtime=Runtime(workers=2)))


SLEEPERS = """
import os, sys
from pool_jobs import report_and_sleep
from stages.core.engine.workers.pool import map_jobs
from stages.core.engine.runtime import Runtime
if __name__ == "__main__":
    list(map_jobs(report_and_sleep, [sys.argv[1], sys.argv[1]], runtime=Runtime(workers=2)))
"""


PREPARED = """
import sys
from pool_jobs import is_loaded
from stages.core.engine.workers.pool import map_jobs, prepare_workers
from stages.core.engine.runtime import Runtime
if __name__ == "__main__":
    workers, modules = int(sys.argv[1]), sys.argv[2:]
    prepare_workers(Runtime(workers=workers), modules)
    found = list(map_jobs(is_loaded, ["colorsys"], runtime=Runtime(workers=workers)))
    print(found[0][1], "colorsys" in sys.modules)
"""


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [(["2", "colorsys"], "True False"), (["2"], "False False"), (["1", "colorsys"], "False False")],
)
def test_modules_are_loaded_for_workers_and_not_here(arguments: list[str], printed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PREPARED, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.stdout.strip() == printed


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="asks /proc which processes live")
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", SLEEPERS, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = [int(path.name) for path in tmp_path.iterdir()]
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(alive, workers))


def alive(process: int) -> bool:
    """Whether a process runs; a zombie that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except FileNotFoundError:
        return False


def test_few_jobs_wait() -> None:
    taken = 0

    def jobs() -> Iterator[int]:
        nonlocal taken
        for number in range(10, 110):
            taken += 1
            yield number

    results = map_jobs(double, jobs(), runtime=Runtime(workers=2), kind="thread")
    next(results)
    assert taken <= 6
    results.close()


def test_no_scheduler_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("stages.core.engine.workers.cluster._CONNECT_SECONDS", 0.5)
    runtime = Runtime(workers=1, scheduler="tcp://127.0.0.1:9")
    with pytest.raises(ConfigError, match="no Dask scheduler responds"):
        list(map_jobs(double, [1], runtime=runtime))

"""map_jobs: order, expected failures, bugs, bounded look-ahead, dead workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from schemas.errors import ConfigError, CorruptInput, TglError
from stages.engine.pool import map_jobs
from stages.engine.runtime import Runtime


def double(number: int) -> int:
    if number == 3:
        raise CorruptInput("is three", where="job")
    return 2 * number


def bug(number: int) -> int:
    raise ZeroDivisionError(number)


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


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


def test_a_dead_worker_is_one_line() -> None:
    with pytest.raises(TglError, match="a worker process died"):
        list(map_jobs(die, [1, 2], runtime=Runtime(workers=2)))


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
    monkeypatch.setattr("stages.engine.pool._CONNECT_SECONDS", 0.5)
    runtime = Runtime(workers=1, scheduler="tcp://127.0.0.1:9")
    with pytest.raises(ConfigError, match="no Dask scheduler answers"):
        list(map_jobs(double, [1], runtime=runtime))

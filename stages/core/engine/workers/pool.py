"""Jobs in parallel: in local processes or threads, or on an existing Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

from schemas.errors import TglError
from stages.core.engine.runtime import Runtime
from stages.core.engine.workers.cluster import map_cluster
from stages.core.engine.workers.forkserver import start_forkserver
from stages.core.engine.workers.processes import attempt, map_processes

J = TypeVar("J")
R = TypeVar("R")

_WAITING_PER_WORKER = 2


def map_jobs(
    function: Callable[[J], R],
    jobs: Iterable[J],
    *,
    runtime: Runtime,
    kind: str = "process",
) -> Iterator[tuple[J, R | TglError]]:
    """Apply `function` to every job, and yield pairs of job and result as they finish.

    An expected failure (TglError) of one job is its result, so that others go on; so is LostWorker,
    if worker processes died at a job twice. Any other exception is a bug and ends the run. Few jobs
    wait at a time, so `jobs` may be a generator.

    Args:
        function: at module level, so that another process or machine can find it.
        kind: "process", or "thread" where the work releases the interpreter lock.

    Raises:
        TglError: worker processes die again and again, or the scheduler cannot be reached.
    """
    if runtime.scheduler is not None:
        yield from map_cluster(function, jobs, runtime.scheduler)
    elif runtime.workers == 1:
        for job in jobs:
            yield job, attempt(function, job)
    elif kind == "thread":
        yield from _map_threads(function, jobs, runtime.workers)
    else:
        names = [str(number) for number in range(runtime.workers)]
        yield from map_processes(function, jobs, names)


def prepare_workers(runtime: Runtime, modules: Sequence[str]) -> None:
    """Load `modules` in the process that :func:`map_jobs` forks workers from, in the background.

    Otherwise each worker loads them for itself when it starts.

    Args:
        modules: what the jobs need; loading them must start no threads.
    """
    if runtime.scheduler is None and runtime.workers > 1:
        start_forkserver(modules)


def _map_threads(
    function: Callable[[J], R], jobs: Iterable[J], workers: int
) -> Iterator[tuple[J, R | TglError]]:
    waiting: dict[Future[R | TglError], J] = {}
    source = iter(jobs)
    with _threads(workers) as threads:
        while True:
            for job in source:
                waiting[threads.submit(attempt, function, job)] = job
                if len(waiting) >= workers * _WAITING_PER_WORKER:
                    break
            if not waiting:
                return
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), future.result()


@contextmanager
def _threads(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Start threads; Ctrl-C does not wait for them, since a thread cannot be stopped."""
    threads = ThreadPoolExecutor(workers)
    try:
        yield threads
    except BaseException as error:
        patient = isinstance(error, Exception | GeneratorExit)
        threads.shutdown(wait=patient, cancel_futures=True)
        raise
    threads.shutdown()

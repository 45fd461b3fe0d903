"""Many jobs side by side: local processes or threads, or an existing Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver
from multiprocessing.connection import wait as wait_for
from typing import Any, TypeVar

from schemas.errors import ConfigError, MissingInput, TglError
from stages.engine.children import kill_children
from stages.engine.runtime import Runtime

J = TypeVar("J")
R = TypeVar("R")

_WAITING_PER_WORKER = 2
_CONNECT_SECONDS = 10


def map_jobs(
    function: Callable[[J], R],
    jobs: Iterable[J],
    *,
    runtime: Runtime,
    kind: str = "process",
) -> Iterator[tuple[J, R | TglError]]:
    """Apply `function` to every job; pairs of job and result come as they are finished.

    An expected failure (TglError) of one job is its result, so that others go on; any other
    exception is a bug and ends the run. Few jobs wait at a time, so `jobs` may be a generator.

    Args:
        function: at module level, so that another process or machine can find it.
        kind: "process", or "thread" where the work releases the interpreter lock.

    Raises:
        TglError: a worker process died, or the scheduler cannot be reached.
    """
    if runtime.scheduler is not None:
        yield from _map_cluster(function, jobs, runtime.scheduler)
    elif runtime.workers == 1:
        for job in jobs:
            yield job, _attempt(function, job)
    else:
        with _executor(runtime.workers, kind) as executor:
            try:
                yield from _map_executor(executor, runtime.workers, function, jobs)
            except BaseException:
                kill_children()  # threads wait for them, and leaving the executor for the threads
                raise


def prepare_workers(runtime: Runtime, modules: Sequence[str]) -> None:
    """Let the process that workers are forked from load `modules` while this one goes on.

    Without it they begin to load when :func:`map_jobs` starts them, each for itself.

    Args:
        modules: what the jobs need; loading them must start no threads.
    """
    if runtime.scheduler is None and runtime.workers > 1:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["__main__", *modules])
        forkserver.ensure_running()


def _attempt(function: Callable[[J], R], job: J) -> R | TglError:
    try:
        return function(job)
    except TglError as error:
        return error


def _executor(workers: int, kind: str) -> Executor:
    if kind == "thread":
        return ThreadPoolExecutor(workers)
    # fork would copy the threads' locks of arrow and torch in whatever state they are.
    context = multiprocessing.get_context("forkserver")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Let a worker end when its parent was killed; else it would wait for jobs for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _map_executor(
    executor: Executor, workers: int, function: Callable[[J], R], jobs: Iterable[J]
) -> Iterator[tuple[J, R | TglError]]:
    waiting: dict[Future[R | TglError], J] = {}
    source = iter(jobs)
    try:
        while True:
            for job in source:
                waiting[executor.submit(_attempt, function, job)] = job
                if len(waiting) >= workers * _WAITING_PER_WORKER:
                    break
            if not waiting:
                return
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), future.result()
    except BrokenProcessPool as error:
        raise TglError(
            "a worker process died, most likely for lack of memory",
            hint="run again with fewer --workers; finished work is kept",
        ) from error
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _map_cluster(
    function: Callable[[J], R], jobs: Iterable[J], address: str
) -> Iterator[tuple[J, R | TglError]]:
    try:
        import distributed
    except ImportError as error:
        raise MissingInput(
            "--scheduler needs the package distributed", hint="pip install 'tgl[cluster]'"
        ) from error
    try:
        client = distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(
            "no Dask scheduler answers", where=address, hint="start one with: dask scheduler"
        ) from error
    with client:
        queue: Any = distributed.as_completed(loop=client.loop)
        known: dict[str, J] = {}
        source = iter(jobs)
        room = max(1, sum(client.nthreads().values())) * _WAITING_PER_WORKER
        while True:
            for job in source:
                future = client.submit(_attempt, function, job, pure=False)
                known[future.key] = job
                queue.add(future)
                if len(known) >= room:
                    break
            if not known:
                return
            future = next(queue)
            yield known.pop(future.key), future.result()

"""Jobs in parallel: in local processes or threads, or on an existing Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
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
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import BaseContext
from multiprocessing.queues import SimpleQueue
from typing import Any, TypeVar

from schemas.errors import ConfigError, MissingInput, TglError
from stages.core.engine.runtime import Runtime

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
    """Apply `function` to every job, and yield pairs of job and result as they finish.

    An expected failure (TglError) of one job is its result, so that others go on; any other
    exception is a bug and ends the run. Few jobs wait at a time, so `jobs` may be a generator.

    Args:
        function: at module level, so that another process or machine can find it.
        kind: "process", or "thread" where the work releases the interpreter lock.

    Raises:
        TglError: a worker process died, or the scheduler cannot be reached.
    """
    if runtime.scheduler is not None:
        yield from map_cluster(function, jobs, runtime.scheduler)
    elif runtime.workers == 1:
        for job in jobs:
            yield job, attempt(function, job)
    else:
        with _executor(runtime.workers, kind) as executor:
            yield from _map_executor(executor, runtime.workers, function, jobs)


def prepare_workers(runtime: Runtime, modules: Sequence[str]) -> None:
    """Load `modules` in the process that :func:`map_jobs` forks workers from, in the background.

    Otherwise each worker loads them for itself when it starts.

    Args:
        modules: what the jobs need; loading them must start no threads.
    """
    if runtime.scheduler is None and runtime.workers > 1:
        start_forkserver(modules)


def attempt(function: Callable[[J], R], job: J) -> R | TglError:
    """Apply a function to a job; an expected failure is the result."""
    try:
        return function(job)
    except TglError as error:
        return error


@contextmanager
def _executor(workers: int, kind: str) -> Iterator[Executor]:
    """Start workers; worker processes end at once when their results are no longer needed."""
    if kind != "thread":
        with _process_executor(workers) as processes:
            yield processes
    else:
        threads = ThreadPoolExecutor(workers)
        try:
            yield threads
        except BaseException as error:
            # A thread cannot be stopped; Ctrl-C does not wait for it.
            patient = isinstance(error, Exception | GeneratorExit)
            threads.shutdown(wait=patient, cancel_futures=True)
            raise
        threads.shutdown()


def map_processes(
    function: Callable[[J], R],
    jobs: Iterable[J],
    prepare: Callable[[str], None],
    names: Sequence[str],
) -> Iterator[tuple[J, R | TglError]]:
    """Apply `function` to every job in one process per name; see :func:`map_jobs`.

    Args:
        prepare: called once in each process with its name.
    """
    with _process_executor(len(names), prepare, names) as executor:
        yield from _map_executor(executor, len(names), function, jobs)


@contextmanager
def _process_executor(
    workers: int, prepare: Callable[[str], None] | None = None, names: Sequence[str] = ()
) -> Iterator[Executor]:
    context = start_forkserver()
    ours, theirs = context.Pipe()
    waiting = context.SimpleQueue()
    for name in names:
        waiting.put(name)
    processes = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_begin, initargs=(theirs, prepare, waiting)
    )
    try:
        yield processes
    except BaseException:
        ours.close()
        processes.shutdown(cancel_futures=True)
        raise
    processes.shutdown()


def _begin(
    pipe: Connection, prepare: Callable[[str], None] | None, names: SimpleQueue[str]
) -> None:
    end_with_parent(pipe)
    if prepare is not None:
        prepare(names.get())


def start_forkserver(modules: Sequence[str] = ()) -> BaseContext:
    """Start the process that workers are forked from, if it does not run, with Ctrl-C and SIGTERM
    blocked: a terminal sends them to all of its processes, and this one alone decides what to do.

    Forking this process instead would copy the locks of threads of arrow and torch in any state.

    Args:
        modules: loaded there once for all workers; loading them must start no threads.

    Returns:
        the context that starts workers; each should call :func:`end_with_parent`.
    """
    context = multiprocessing.get_context("forkserver")
    if modules:
        context.set_forkserver_preload(["__main__", *modules])
    resource_tracker.ensure_running()  # it would unblock the signals
    with uninterrupted():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM to the end of the block, as while workers start.

    A worker whose parent ends in the meantime would print a traceback.
    """
    if threading.current_thread() is not threading.main_thread():  # only that one is interrupted
        yield
        return
    waiting: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for known in before:
        signal.signal(known, lambda number, frame: waiting.append(number))
    try:
        yield
    finally:
        for known, handler in before.items():
            signal.signal(known, signal.SIG_DFL if handler is None else handler)
    for number in waiting[:1]:
        signal.raise_signal(number)


def end_with_parent(*pipes: Connection) -> None:
    """Let this worker end when its parent was killed or closes its end of one of `pipes`.

    Otherwise it would wait for jobs forever.
    """
    # SIGTERM is how a pool ends the other workers when one died.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait_for([parent.sentinel, *pipes])
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
                with uninterrupted():  # it may start workers, all of them or none
                    future = executor.submit(attempt, function, job)
                waiting[future] = job
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
            hint="rerun with fewer --workers; finished work is kept",
        ) from error


def map_cluster(
    function: Callable[[J], R], jobs: Iterable[J], address: str
) -> Iterator[tuple[J, R | TglError]]:
    """Apply `function` to every job on a Dask cluster; see :func:`map_jobs`."""
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
            "no Dask scheduler responds", where=address, hint="start one with: dask scheduler"
        ) from error
    with client:
        queue: Any = distributed.as_completed(loop=client.loop)
        known: dict[str, J] = {}
        source = iter(jobs)
        room = max(1, sum(client.nthreads().values())) * _WAITING_PER_WORKER
        while True:
            for job in source:
                future = client.submit(attempt, function, job, pure=False)
                known[future.key] = job
                queue.add(future)
                if len(known) >= room:
                    break
            if not known:
                return
            future = next(queue)
            yield known.pop(future.key), future.result()

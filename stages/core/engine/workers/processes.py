"""A pool of worker processes that survives the loss of a worker.

Each worker has one job at a time, so that it is known which job a worker died at. That job is tried
once more when no other job is left or running: if memory was short, it has the machine for itself.
"""

from __future__ import annotations

import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any, Generic, TypeVar

from schemas.errors import LostWorker, TglError
from stages.core.engine.workers.forkserver import end_with_parent, start_forkserver, uninterrupted

J = TypeVar("J")
R = TypeVar("R")

Send = Callable[[Any], None]
"""Send a note about the running job to the process that gave it."""

HINT = "finished work is kept; if memory is short, use fewer --workers or --devices"
_MOST_TRIES = 2
_MOST_LOSSES = 3
"""Deaths in a row, without a finished job, after which a worker is not replaced any more."""
_GOODBYE_SECONDS = 10
_READY, _DONE, _NOTE, _BUG = "ready", "done", "note", "bug"


def attempt(function: Callable[[J], R], job: J) -> R | TglError:
    """Apply a function to a job; an expected failure is the result."""
    try:
        return function(job)
    except TglError as error:
        return error


def _ignore(*_: Any) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Hooks(Generic[J]):
    """Functions that a pool calls.

    Attributes:
        prepare: in each worker when it starts, with its name and what sends notes.
        note: in this process, with a job and a note that its worker sent.
        lost: in this process, with a job whose worker died and that will be tried again.
        warn: in this process, with a line for the user.
    """

    prepare: Callable[[str, Send], None] = _ignore
    note: Callable[[J, Any], None] = _ignore
    lost: Callable[[J], None] = _ignore
    warn: Callable[[str], None] = _ignore


def map_processes(
    function: Callable[[J], R],
    jobs: Iterable[J],
    names: Sequence[str],
    hooks: Hooks[J] | None = None,
) -> Iterator[tuple[J, R | TglError]]:
    """Apply `function` to every job in one process per name; yields pairs as they finish.

    Args:
        function: at module level, so that another process can find it; as the functions of hooks
            that workers call.
        jobs: taken when a worker is free.
        names: of the workers; a name may be repeated.

    Raises:
        TglError: workers died so often that none is left.
    """
    pool = _Pool(function, names, hooks or Hooks())
    try:
        yield from pool.results(iter(jobs))
        pool.dismiss()
    finally:
        pool.end()


@dataclass
class _Attempt(Generic[J]):
    """A job, and how often a worker died at it."""

    job: J
    deaths: int = 0


@dataclass
class _Worker(Generic[J]):
    """A place for a process, which is started for its first job and replaced if it dies.

    Attributes:
        name: of the worker.
        process, connection: of the present process; None without one.
        ready: the process has started.
        attempt: what it works on, or will when it is ready.
        losses: processes that died since the last finished job.
    """

    name: str
    process: BaseProcess | None = None
    connection: Connection | None = None
    ready: bool = False
    attempt: _Attempt[J] | None = None
    losses: int = 0

    @property
    def usable(self) -> bool:
        """Whether a process that died would be replaced."""
        return self.losses < _MOST_LOSSES

    def give(self, attempt: _Attempt[J]) -> None:
        """Take a job, which is sent as soon as the process is ready."""
        self.attempt = attempt
        if self.ready:
            self._send(attempt.job)

    def started(self) -> None:
        """Note that the process is ready."""
        assert self.attempt is not None
        self.ready = True
        self._send(self.attempt.job)

    def dismiss(self) -> None:
        """Let the process end by itself."""
        if self.process is not None:
            self._send(None)

    def _send(self, job: J | None) -> None:
        assert self.connection is not None
        with suppress(ConnectionError):  # it died, which the next look at the connection tells
            self.connection.send(None if job is None else (job,))

    def drop(self) -> int | None:
        """Forget the process; returns its exit code."""
        process, connection = self.process, self.connection
        self.process = self.connection = None
        self.ready = False
        if connection is not None:
            connection.close()
        if process is None:
            return None
        process.join()
        code = process.exitcode
        process.close()
        return code


@dataclass
class _Pool(Generic[J, R]):
    """The workers of one map."""

    function: Callable[[J], R]
    names: Sequence[str]
    hooks: Hooks[J]
    _workers: list[_Worker[J]] = field(init=False)
    _again: deque[_Attempt[J]] = field(default_factory=deque, init=False)
    _context: ForkServerContext | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._workers = [_Worker(name) for name in self.names]

    def results(self, jobs: Iterator[J]) -> Iterator[tuple[J, R | TglError]]:
        """Yield pairs of job and result; see :func:`map_processes`."""
        while True:
            self._hand_out(jobs)
            busy = [worker for worker in self._workers if worker.attempt is not None]
            if not busy:
                return
            finished: list[tuple[J, R | TglError]] = []
            for worker in _heard_of(busy):
                finished += self._receive(worker)
            self._hand_out(jobs)  # before the caller takes its time with the results
            yield from finished

    def _hand_out(self, jobs: Iterator[J]) -> None:
        """Give each free worker a job.

        Raises:
            TglError: no worker is usable.
        """
        for worker in sorted(self._workers, key=lambda worker: worker.losses):
            if worker.attempt is None and worker.usable:
                attempt = self._next(jobs)
                if attempt is None:
                    return
                if worker.process is None:
                    self._start(worker)
                worker.give(attempt)
        if not any(worker.usable for worker in self._workers) and self._next(jobs) is not None:
            raise TglError("worker processes die again and again", hint=HINT)

    def _next(self, jobs: Iterator[J]) -> _Attempt[J] | None:
        """The next job; one whose worker died only when all others are finished."""
        for job in jobs:
            return _Attempt(job)
        if self._again and all(worker.attempt is None for worker in self._workers):
            return self._again.popleft()
        return None

    def _start(self, worker: _Worker[J]) -> None:
        if self._context is None:
            self._context = start_forkserver()
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_work,
            args=(theirs, self.function, self.hooks.prepare, worker.name),
            name=f"tgl worker {worker.name}",
            daemon=True,  # ends with this process, whatever happens to it
        )
        with uninterrupted():
            process.start()
        theirs.close()
        worker.process, worker.connection = process, ours

    def _receive(self, worker: _Worker[J]) -> Iterator[tuple[J, R | TglError]]:
        """Take a worker's message; yields the result of its job if that is it."""
        assert worker.connection is not None
        assert worker.attempt is not None
        try:
            kind, content = worker.connection.recv()
        except (EOFError, OSError):
            yield from self._lose(worker, worker.attempt)
            return
        if kind == _READY:
            worker.started()
        elif kind == _NOTE:
            self.hooks.note(worker.attempt.job, content)
        elif kind == _BUG:
            raise content
        else:
            job, worker.attempt, worker.losses = worker.attempt.job, None, 0
            yield job, content

    def _lose(self, worker: _Worker[J], attempt: _Attempt[J]) -> Iterator[tuple[J, LostWorker]]:
        """Note the death of a worker; yields the failure of its job if that was the last try."""
        attempt.deaths += worker.ready  # a process that did not start has not seen the job
        cause = _cause(worker.drop())
        worker.attempt = None
        worker.losses += 1
        if attempt.deaths < _MOST_TRIES:
            self._again.append(attempt)
            self.hooks.lost(attempt.job)
            self.hooks.warn(f"a worker process died ({cause}); its work is tried again at the end")
        else:
            yield (
                attempt.job,
                LostWorker(f"a worker process died at it twice ({cause})", hint=HINT),
            )

    def dismiss(self) -> None:
        """Let all workers end by themselves, which gives their networks time to leave a device."""
        for worker in self._workers:
            worker.dismiss()
        for worker in self._workers:
            if worker.process is not None:
                worker.process.join(_GOODBYE_SECONDS)

    def end(self) -> None:
        """End the workers that still run, at once."""
        for worker in self._workers:
            if worker.process is not None:
                worker.process.kill()
                worker.drop()


def _heard_of(workers: Sequence[_Worker[J]]) -> list[_Worker[J]]:
    """Wait until a worker sends something or ends; returns the workers that did."""
    by_connection = {worker.connection: worker for worker in workers}
    return [by_connection[ready] for ready in wait_for(list(by_connection))]  # type: ignore


def _cause(code: int | None) -> str:
    """An exit code in words."""
    if code is None or code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    memory = ", most likely for lack of memory" if -code == signal.SIGKILL else ""
    return f"{name}{memory}"


def _work(
    connection: Connection,
    function: Callable[[J], R],
    prepare: Callable[[str, Send], None],
    name: str,
) -> None:
    """Do the jobs that come through a connection until it says that there are no more."""
    end_with_parent()

    def send(note: Any) -> None:
        connection.send((_NOTE, note))

    try:
        prepare(name, send)
        connection.send((_READY, None))
        while (message := _message(connection)) is not None:
            connection.send((_DONE, attempt(function, message[0])))
    except Exception as error:  # noqa: BLE001 (the parent raises it)
        with suppress(ConnectionError):  # else it has ended
            connection.send((_BUG, _sendable(error)))


def _message(connection: Connection) -> Any:
    """The next message; None also if the parent has ended."""
    try:
        return connection.recv()
    except (EOFError, ConnectionError):
        return None


def _sendable(error: Exception) -> Exception:
    """The error with its traceback as a note, as something that can be pickled."""
    told = "".join(traceback.format_exception(error))
    error.add_note(f"In a worker process:\n{told}")
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:  # noqa: BLE001 (any error of the pickling of any exception)
        return RuntimeError(told)
    return error

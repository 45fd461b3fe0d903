"""Jobs on an existing Dask cluster, whose workers see the same files as this machine."""

from __future__ import annotations

import io
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path, PurePath
from typing import Any, Generic, NamedTuple, TypeVar

from schemas.errors import ConfigError, LostWorker, MissingInput, TglError
from stages.core.engine.workers.processes import attempt

J = TypeVar("J")
R = TypeVar("R")
T = TypeVar("T")

_WAITING_PER_THREAD = 2
_CONNECT_SECONDS = 10
_AGAIN = "run the same command again; finished work is kept"


def map_cluster(
    function: Callable[[J], R], jobs: Iterable[J], address: str
) -> Iterator[tuple[J, R | TglError]]:
    """Apply `function` to every job on a Dask cluster; yields pairs as they finish.

    Dask gives the jobs of a lost worker to others, until their `allowed-failures` are used up, also
    for jobs that only waited there. Such a job is tried once more when no other job is left or
    running; the failure is its result if that is in vain too. Workers may come and go.

    Args:
        function: at module level, so that another machine can find it.
        jobs: relative paths in them become absolute, since workers run in other folders.
        address: of the scheduler.

    Raises:
        TglError: the scheduler cannot be reached, or not any more.
    """
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
        yield from _results(client, _absolute(function), jobs)


class _Submitted(NamedTuple, Generic[J]):
    """A job that Dask has; `last` if it does not get another chance."""

    job: J
    last: bool


def _results(
    client: Any, function: Callable[[J], R], jobs: Iterable[J]
) -> Iterator[tuple[J, R | TglError]]:
    import distributed

    queue: Any = distributed.as_completed(loop=client.loop)
    running: dict[str, _Submitted[J]] = {}
    again: deque[J] = deque()

    def submit(job: J, *, last: bool = False) -> None:
        future = client.submit(attempt, function, _absolute(job), pure=False)
        running[future.key] = _Submitted(job, last)
        queue.add(future)

    source = iter(jobs)
    while True:
        room = max(1, _threads(client)) * _WAITING_PER_THREAD
        for job in islice(source, max(0, room - len(running))):
            submit(job)
        if not running and again:
            submit(again.popleft(), last=True)
        if not running:
            return
        future = next(queue)
        job, last = running.pop(future.key)
        try:
            yield job, future.result()
        except distributed.client.FutureCancelledError as error:
            raise _lost(client) from error
        except distributed.KilledWorker as error:
            if last:
                yield job, _killed(error)
            else:
                again.append(job)  # it may only have waited at the worker that another job killed


def _killed(error: Any) -> LostWorker:
    return LostWorker(
        f"{error.allowed_failures + 1} workers of the cluster died at it alone, the last at "
        f"{error.last_worker.address}",
        hint="finished work is kept",
    )


def _threads(client: Any) -> int:
    """The number of threads of the cluster's workers, which come and go.

    Raises:
        TglError: the scheduler is gone.
    """
    try:
        return sum(client.nthreads().values())
    except OSError as error:
        raise _lost(client) from error


def _lost(client: Any) -> TglError:
    return TglError("the Dask scheduler was lost", where=client.scheduler.address, hint=_AGAIN)


class _AbsolutePickler(pickle.Pickler):
    """Pickles relative paths as absolute ones."""

    def reducer_override(self, value: Any) -> Any:
        """See :class:`pickle.Pickler`."""
        if isinstance(value, PurePath) and not value.is_absolute():
            return Path, (str(Path(value).absolute()),)
        return NotImplemented


def _absolute(value: T) -> T:
    """A copy of a job or a function, with relative paths made absolute."""
    copy = io.BytesIO()
    _AbsolutePickler(copy).dump(value)
    return pickle.loads(copy.getvalue())  # noqa: S301 (written one line above)

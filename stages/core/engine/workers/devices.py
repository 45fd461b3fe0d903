"""Jobs that run a network: on one device here, one process per device, or a Dask cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from schemas.errors import ConfigError, TglError
from stages.core.engine.progress import SilentTask, Task
from stages.core.engine.runtime import Runtime, usable_cores
from stages.core.engine.workers.pool import attempt, map_cluster, map_processes

J = TypeVar("J")
R = TypeVar("R")
T = TypeVar("T")

EVERY_GPU = "all"
_CPU = "cpu"


class DeviceWorker:
    """The device that jobs run on, with the networks that are loaded there.

    Args:
        device: name of a torch device, or auto.
        task: advances while a job runs.

    Attributes:
        advanced: units that jobs reported so far.
    """

    def __init__(self, device: str, task: Task | None = None):
        self.device = device
        self.advanced = 0
        self._task = task or SilentTask()
        self._kept: dict[object, Any] = {}

    def keep(self, key: object, make: Callable[[], T]) -> T:
        """Return the object of a key, made for the first job and kept for the later ones."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def advance(self, units: int = 1) -> None:
        """Report finished units of the running job; seen where the job runs in this process."""
        self.advanced += units
        self._task.advance(units)


DeviceFunction = Callable[[J, DeviceWorker], R]
"""At module level, so that another process or machine can find it."""

_worker = DeviceWorker(_CPU)
"""The worker of a process that :func:`map_on_devices` started, or of a cluster's machine."""
_one_job = threading.Lock()
"""Held by the job that runs: a cluster's machine may have several threads, which share the networks
and tokenizers, and neither these nor transformers' loading can serve two jobs at a time."""


def map_on_devices(
    function: DeviceFunction[J, R],
    jobs: Iterable[J],
    *,
    runtime: Runtime,
    task: Task,
    units: Callable[[J], int] = lambda job: 1,
) -> Iterator[tuple[J, R | TglError]]:
    """Apply `function` to every job on the runtime's devices; yields pairs as they finish.

    Jobs run in this process if there is one device, else in one process per device, or on the
    machines of the runtime's Dask scheduler (each on its own best device). An expected failure
    (TglError) of one job is its result, so that others go on.

    Args:
        function: takes a job and the worker that it runs on.
        jobs: the longest first, if that is known: the last one is waited for.
        task: advances by `units(job)` for every job, failed ones included.
        units: of progress that a job has.

    Raises:
        ConfigError: an unknown device, or no GPU for `all`.
        TglError: a worker process died, or the scheduler cannot be reached.
    """
    if runtime.scheduler is not None:
        work: Callable[[J], R] = partial(_on_cluster, function, runtime.device)
        results = map_cluster(work, jobs, runtime.scheduler)
    else:
        names = device_names(runtime)
        if len(names) == 1:
            yield from _here(function, jobs, DeviceWorker(names[0], task), task, units)
            return
        prepare = partial(_begin, max(1, usable_cores() // len(names)))
        results = map_processes(partial(_in_process, function), jobs, prepare, names)
    for job, result in results:
        task.advance(units(job))
        yield job, result


def device_names(runtime: Runtime) -> list[str]:
    """Return the devices of a runtime, one per process; a name may be repeated.

    Raises:
        ConfigError: an empty name, or no GPU for `all`.
    """
    if runtime.devices is None:
        return [runtime.device]
    if runtime.devices == EVERY_GPU:
        import torch

        names = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        if not names:
            raise ConfigError("this machine has no GPU", where="--devices", hint="name cpu")
        return names
    names = [name.strip() for name in runtime.devices.split(",")]
    if not all(names):
        raise ConfigError(
            f"{runtime.devices!r} has an empty name",
            where="--devices",
            hint="separate names by commas, such as cuda:0,cuda:1",
        )
    return names


def _here(
    function: DeviceFunction[J, R],
    jobs: Iterable[J],
    worker: DeviceWorker,
    task: Task,
    units: Callable[[J], int],
) -> Iterator[tuple[J, R | TglError]]:
    for job in jobs:
        before = worker.advanced
        result = attempt(partial(function, worker=worker), job)  # type: ignore[call-arg]
        task.advance(units(job) - (worker.advanced - before))
        yield job, result


def _begin(threads: int, device: str) -> None:
    """Prepare this process for the jobs of one device."""
    global _worker
    _worker = DeviceWorker(device)
    if device == _CPU:
        import torch

        torch.set_num_threads(threads)  # else every process would use all cores


def _in_process(function: DeviceFunction[J, R], job: J) -> R:
    return function(job, _worker)


def _on_cluster(function: DeviceFunction[J, R], device: str, job: J) -> R:
    global _worker
    with _one_job:
        if _worker.device != device:
            _worker = DeviceWorker(device)
        return function(job, _worker)

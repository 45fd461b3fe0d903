"""Jobs that run a network: on one device here, one process per device, or a Dask cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from schemas.errors import ConfigError, TglError
from stages.core.engine.progress import SilentTask, Task
from stages.core.engine.runtime import AUTO, BF16, FP32, Runtime, usable_cores
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
        total: units of all jobs.

    Attributes:
        advanced: units that jobs reported so far.
    """

    def __init__(self, device: str, task: Task | None = None, total: int = 0):
        self.device = device
        self.advanced = 0
        self._task = task or SilentTask()
        self._total = total
        self._began = self._units = 0
        self._corrected = False
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

    def expect(self, left: int) -> None:
        """Correct the number of units that the running job still has; seen as ``advance`` is."""
        units = self.advanced - self._began + left
        self._total += units - self._units
        self._units, self._corrected = units, True
        self._task.expect(self._total)

    def begin(self, units: int) -> None:
        """Begin a job that is thought to have some units."""
        self._began, self._units, self._corrected = self.advanced, units, False

    def end(self) -> None:
        """End the job: what it did not report is done, or never was if it corrected its units."""
        left = self._began + self._units - self.advanced
        if left < 0 or self._corrected:
            self.expect(0)
        else:
            self._task.advance(left)


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
        task: advances by `units(job)` for every job, failed ones included; of a job in this
            process by what the job itself reports.
        units: of progress that a job has, as far as is known before it begins.

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
            yield from _here(function, list(jobs), names[0], task, units)
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


def settled(runtime: Runtime) -> Runtime:
    """Return the runtime with ``--precision auto`` decided for its devices.

    On a cluster it stays, and each machine decides for its own device.

    Raises:
        ConfigError: see :func:`device_names`.
    """
    if runtime.precision != AUTO or runtime.scheduler is not None:
        return runtime
    return replace(runtime, precision=precision_of(device_names(runtime)[0]))


def precision_of(device: str) -> str:
    """Return the precision that ``auto`` means on a device: bf16 on GPUs that compute in it."""
    if device.startswith(_CPU):
        return FP32
    import torch

    usable = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return BF16 if usable and (device == AUTO or device.startswith("cuda")) else FP32


def _here(
    function: DeviceFunction[J, R],
    jobs: Sequence[J],
    device: str,
    task: Task,
    units: Callable[[J], int],
) -> Iterator[tuple[J, R | TglError]]:
    worker = DeviceWorker(device, task, sum(map(units, jobs)))
    for job in jobs:
        worker.begin(units(job))
        result = attempt(partial(function, worker=worker), job)  # type: ignore[call-arg]
        worker.end()
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

"""Jobs that run a network: on one device here, one process per device, or a Dask cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from schemas.errors import ConfigError, TglError
from schemas.wording import amount
from stages.core.engine.progress import Progress, Task
from stages.core.engine.runtime import AUTO, BF16, FP32, Runtime, usable_cores
from stages.core.engine.workers.cluster import map_cluster
from stages.core.engine.workers.processes import Hooks, Send, attempt, map_processes
from stages.core.engine.workers.units import (
    SentUnits,
    SilentUnits,
    UnitBar,
    Units,
    receive,
)

J = TypeVar("J")
R = TypeVar("R")
T = TypeVar("T")

EVERY_GPU = "all"
_CPU, _GPU = "cpu", "cuda:"


class DeviceWorker:
    """The device that jobs run on, with the networks that are loaded there.

    Args:
        device: name of a torch device, or auto.
        units: receive the progress of the running job.
    """

    def __init__(self, device: str, units: Units | None = None):
        self.device = device
        self.units = units or SilentUnits()
        self._kept: dict[str, tuple[object, Any]] = {}

    def keep(self, name: str, key: object, make: Callable[[], T]) -> T:
        """Return an object that is made for the first job and kept for the later ones.

        A worker of a cluster outlives a run, so that the next one may need another network.

        Args:
            name: of the object; only one of each name is kept.
            key: everything that it is made from; another key makes another object.
            make: makes the object.
        """
        known = self._kept.get(name)
        if known is None or known[0] != key:
            self._kept.pop(name, None)  # else both would be in memory while the new one is made
            known = self._kept[name] = key, make()
        return known[1]

    def advance(self, units: int = 1) -> None:
        """Report finished units of the running job."""
        self.units.advance(units)

    def expect(self, left: int) -> None:
        """Correct the number of units that the running job still has."""
        self.units.expect(left)


DeviceFunction = Callable[[J, DeviceWorker], R]
"""At module level, so that another process or machine can find it."""


@dataclass(frozen=True)
class NotLoaded:
    """The result of a job whose network could not be loaded: no other job can do better."""

    error: TglError


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
    progress: Progress,
    task: Task,
    units: Callable[[J], int] = lambda job: 1,
) -> Iterator[tuple[J, R | TglError]]:
    """Apply `function` to every job on the runtime's devices; yields pairs as they finish.

    Jobs run in this process if there is one device, else in one process per device, or on the
    workers of the runtime's Dask scheduler (each on its own best device). An expected failure
    (TglError) of one job is its result, so that others go on. A job whose worker died is tried once
    more when the others are finished; LostWorker is its result if a worker dies at it again.

    Args:
        function: takes a job and the worker that it runs on.
        jobs: the longest first, if that is known: the last one is waited for.
        progress: is told of workers that died.
        task: advances by what jobs report, and at the end of each, failed ones included, to
            `units(job)` altogether. Jobs on a cluster report at their end only.
        units: of progress that a job has, as far as is known before it begins.

    Raises:
        ConfigError: an unknown device, no GPU for `all`, or devices beside a scheduler.
        TglError: worker processes die again and again, or the scheduler cannot be reached.
    """
    known = list(jobs)
    bar = UnitBar(task, sum(map(units, known)))
    names = device_names(runtime)
    if runtime.scheduler is not None:
        work: Callable[[J], R] = partial(_on_cluster, function, runtime.device)
        for job, result in map_cluster(work, known, runtime.scheduler):
            bar.job(units(job)).end()
            yield job, result
    elif len(names) == 1:
        yield from _here(function, known, names[0], bar, units)
    else:
        yield from _in_processes(function, known, names, bar, units, progress)


def device_names(runtime: Runtime) -> list[str]:
    """Return the devices of a runtime, one per process; a name may be repeated.

    Raises:
        ConfigError: an empty name, no GPU for `all`, or devices beside a scheduler.
    """
    if runtime.devices is None:
        return [runtime.device]
    if runtime.scheduler is not None:
        raise ConfigError(
            "each worker of a cluster uses its own device", where="--devices", hint="leave it out"
        )
    if runtime.devices == EVERY_GPU:
        import torch

        names = [f"{_GPU}{number}" for number in range(torch.cuda.device_count())]
        if not names:
            raise ConfigError("this machine has no GPU", where="--devices", hint="name cpu")
        return names
    names = [name.strip() for name in runtime.devices.split(",")]
    if not all(names):
        raise ConfigError(
            f"{runtime.devices!r} has an empty name",
            where="--devices",
            hint="separate names by commas, such as 0,1",
        )
    return [f"{_GPU}{name}" if name.isdecimal() else name for name in names]


def threads_per_device(runtime: Runtime) -> int:
    """Return the number of the runtime's workers that each device has, to read frames for it."""
    return max(1, runtime.workers // len(device_names(runtime)))


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
    bar: UnitBar,
    units: Callable[[J], int],
) -> Iterator[tuple[J, R | TglError]]:
    worker = DeviceWorker(device)
    for job in jobs:
        worker.units = own = bar.job(units(job))
        result = attempt(partial(function, worker=worker), job)  # type: ignore[call-arg]
        own.end()
        yield job, result


def _in_processes(
    function: DeviceFunction[J, R],
    jobs: Sequence[J],
    names: Sequence[str],
    bar: UnitBar,
    units: Callable[[J], int],
    progress: Progress,
) -> Iterator[tuple[J, R | TglError]]:
    _require_gpus(names)
    running = [bar.job(units(job)) for job in jobs]

    def note(numbered: tuple[int, J], content: Any) -> None:
        receive(content, running[numbered[0]])

    def lost(numbered: tuple[int, J]) -> None:
        number, job = numbered
        running[number].lose(units(job))
        running[number] = bar.job(units(job))

    prepare = partial(_begin, max(1, usable_cores() // len(names)))
    hooks = Hooks(prepare, note, lost, progress.warn)
    work = partial(_in_process, function)
    for (number, job), result in map_processes(work, enumerate(jobs), names, hooks):
        running[number].end()
        yield job, result


def _require_gpus(names: Sequence[str]) -> None:
    """Raise ConfigError if a GPU is named that this machine does not have."""
    numbers = [int(name[len(_GPU) :]) for name in names if name.startswith(_GPU)]
    if not numbers:
        return
    import torch

    count = torch.cuda.device_count()
    if max(numbers) >= count:
        raise ConfigError(
            f"no GPU {max(numbers)}, this machine has {amount(count, 'GPUs')}, counted from 0",
            where="--devices",
        )


def _begin(threads: int, device: str, send: Send) -> None:
    """Prepare this process for the jobs of one device."""
    global _worker
    _worker = DeviceWorker(device, SentUnits(send))
    if device == _CPU:
        import torch

        torch.set_num_threads(threads)  # else every process would use all cores
    elif device.startswith(_GPU):
        import torch

        torch.cuda.set_device(device)  # else what names no device would go to the first GPU


def _in_process(function: DeviceFunction[J, R], numbered: tuple[int, J]) -> R:
    try:
        return function(numbered[1], _worker)
    finally:
        if isinstance(_worker.units, SentUnits):
            _worker.units.flush()


def _on_cluster(function: DeviceFunction[J, R], device: str, job: J) -> R:
    global _worker
    with _one_job:
        if _worker.device != device:
            _worker = DeviceWorker(device)
        return function(job, _worker)

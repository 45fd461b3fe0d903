"""Batches of samples, made in worker processes; what fails in one of them fails here as it is."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from schemas.errors import SystemRefused, TglError
from stages.train.data.dataset import ClipDataset, Sample

_TENSORS = 4
"""Of a sample; each that comes from a worker holds a file open while it lives."""
_PREFETCHED = 2
_FILES_PER_WORKER = 8
_SPARE_FILES = 32
_OPEN_FILES = Path("/proc/self/fd")
_USUAL_FILES = 32
_WORKER_DIED = "DataLoader worker (pid"  # how torch's own messages begin


class BatchNumbers(Sampler[list[int]]):
    """Sample numbers of one process's batches, from a step on.

    Batch k of process r holds the numbers that follow on each other in the global batch, so that
    two processes see together what one with a doubled batch sees.

    Args:
        first: number of the first batch (steps times accumulation, over all processes).
        last: number after the last batch.
        size: B, clips of one process's batch.
    """

    def __init__(self, first: int, last: int, size: int, rank: int, world: int):
        self._range = range(first, last)
        self.size = size
        self._rank = rank
        self._world = world

    def __len__(self) -> int:
        return len(self._range)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._range:
            start = (batch * self._world + self._rank) * self.size
            yield list(range(start, start + self.size))


class _Attempts(Dataset[Sample | Exception]):
    """Samples, or what went wrong: torch would put a worker's traceback into the message."""

    def __init__(self, dataset: ClipDataset):
        self._dataset = dataset

    def __getitem__(self, number: int) -> Sample | Exception:
        try:
            return self._dataset[number]
        except (TglError, OSError, MemoryError) as error:
            return error


def load_batches(
    dataset: ClipDataset, numbers: BatchNumbers, workers: int, *, held: int = 1
) -> Iterator[list[Sample]]:
    """Batches as lists of samples, in the order of their numbers.

    Args:
        workers: processes that make them; 0: this one.
        held: batches that the caller uses at a time.

    Raises:
        TglError: as the samples raise it.
        SystemRefused: the batches would hold more files open than the system allows.
    """
    if workers:
        ahead = workers * _PREFETCHED + held
        _allow_files(ahead * numbers.size * _TENSORS + workers * _FILES_PER_WORKER)
    loader: DataLoader[Sample | Exception] = DataLoader(
        _Attempts(dataset),
        batch_sampler=numbers,
        num_workers=workers,
        prefetch_factor=_PREFETCHED if workers else None,
        collate_fn=list,
        worker_init_fn=_one_thread,
        persistent_workers=False,
    )
    for batch in loader:
        for sample in batch:
            if isinstance(sample, Exception):
                raise sample
        yield batch


@contextmanager
def worker_deaths() -> Iterator[None]:
    """The death of a worker, which torch reports at any moment in here, ends as one line.

    Raises:
        TglError: a worker was killed.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith(_WORKER_DIED):
            raise
        raise TglError(
            "a process that loads batches died, most likely for lack of memory",
            hint="run again with fewer --workers; training goes on from the last saved step",
        ) from error


def _allow_files(more: int) -> None:
    """Raise the limit of open files if it is too low for `more` of them.

    Raises:
        SystemRefused: the system does not allow so many; loading would wait for ever.
    """
    open_now = len(list(_OPEN_FILES.iterdir())) if _OPEN_FILES.is_dir() else _USUAL_FILES
    wanted = open_now + more + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemRefused(
            f"too many open files: these batches need {wanted}, the limit is {hard}",
            where="--workers",
            hint=f"raise the limit (ulimit -n {wanted}), or use fewer --workers or a smaller "
            "--batch with more --accumulate",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _one_thread(_: int) -> None:
    """A worker's resizing must not compete with the network for cores."""
    torch.set_num_threads(1)

"""Batches of samples, made in worker processes; an error in one of them is raised here as it is."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import pyarrow as pa
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from schemas.errors import SystemRefused, TglError
from stages.core.engine.runtime import Runtime, usable_cores
from stages.core.engine.workers.forkserver import end_with_parent, start_forkserver, uninterrupted

Item = TypeVar("Item")
Batch = TypeVar("Batch")

WORKER_MODULES = (
    "stages.train.loading.loader",
    "stages.train.loading.batch",
    "stages.train.data.windows",
    *("numpy.random", "numpy.ma", "PIL.JpegImagePlugin", "PIL.PngImagePlugin"),  # at first use
)
"""For :func:`stages.core.engine.workers.forkserver.start_forkserver`: what the datasets consist of,
and what libraries load in the first clip, once instead of in every worker."""
_TENSORS = 16
"""Most of a batch; each that comes from a worker keeps a file open while it exists."""
_PREFETCHED = 2
_FILES_PER_WORKER = 8
_SPARE_FILES = 32
_M_MMAP_THRESHOLD = -3  # of malloc.h
_LARGE_BLOCK = 2**20
_OPEN_FILES = Path("/proc/self/fd")
_USUAL_FILES = 32
_WORKER_DIED = "DataLoader worker (pid"  # how torch's own messages begin


MOST_WORKERS = 8
"""Workers of a process unless the user wants more. A batch of 4 clips of 8 frames at 1920x1080
takes about one CPU second (benchmarks/loader.py), so these give eight a second; a large GPU takes
a quarter of a second for a step. Each keeps batches ahead, which take memory."""


def workers_of_process(runtime: Runtime, processes: int) -> int:
    """Number of workers of each of the training processes of a machine.

    Args:
        runtime: its number of workers is that of the machine.
        processes: of the machine.
    """
    share = max(1, runtime.workers // processes)
    return min(share, MOST_WORKERS) if runtime.workers == usable_cores() else share


class BatchNumbers(Sampler[list[int]]):
    """Sample numbers of one process's batches, from a step on.

    Batch k of process r has consecutive numbers of the global batch, so that two processes together
    have the batches of one process with a doubled batch size.

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


class _Attempts(Dataset[Item | Exception]):
    """Samples, or the errors they raise: torch would put a worker's traceback into the message."""

    def __init__(self, dataset: Dataset[Item]):
        self._dataset = dataset

    def __getitem__(self, number: int) -> Item | Exception:
        try:
            return self._dataset[number]
        except (TglError, OSError, MemoryError) as error:
            return error


class _Collated(Generic[Item, Batch]):
    """Makes a batch of items in the worker, or passes on the first of their errors."""

    def __init__(self, collate: Callable[[list[Item]], Batch]):
        self._collate = collate

    def __call__(self, items: list[Item | Exception]) -> Batch | Exception:
        for item in items:
            if isinstance(item, Exception):
                return item
        return self._collate(items)  # type: ignore[arg-type]


def load_batches(
    dataset: Dataset[Item],
    numbers: BatchNumbers,
    workers: int,
    collate: Callable[[list[Item]], Batch],
    *,
    held: int = 1,
    pinned: bool = False,
) -> Generator[Batch]:
    """Yield batches in the order of their numbers.

    Args:
        workers: number of processes that make them, from the first to the last; 0 makes them in
            this one.
        collate: makes a batch of its samples, where they are made.
        held: batches that the caller uses at a time.
        pinned: give batches in page-locked memory, by their `pin_memory`.

    Raises:
        TglError: as the samples raise it, or a worker was killed.
        SystemRefused: the batches would keep more files open than the system allows.
    """
    if workers:
        ahead = batches_in_memory(workers, held)
        _allow_files(ahead * _TENSORS + workers * _FILES_PER_WORKER)
    loader: DataLoader[Item | Exception] = DataLoader(
        _Attempts(dataset),
        batch_sampler=numbers,
        num_workers=workers,
        prefetch_factor=_PREFETCHED if workers else None,
        collate_fn=_Collated(collate),
        pin_memory=pinned,
        worker_init_fn=partial(_begin_worker, resource.getrlimit(resource.RLIMIT_NOFILE)),
        multiprocessing_context=start_forkserver(WORKER_MODULES) if workers else None,
    )
    with uninterrupted():
        batches = iter(loader)
    try:
        while (batch := _next_batch(batches)) is not None:
            if isinstance(batch, Exception):
                raise batch
            yield batch
    finally:
        del batches  # ends the workers now; an error's traceback keeps this frame


def batches_in_memory(workers: int, held: int) -> int:
    """Most batches that exist at a time; arguments as in :func:`load_batches`."""
    return workers * _PREFETCHED + held


def _next_batch(batches: Iterator[Batch | Exception]) -> Batch | Exception | None:
    """The next batch, or an error in its place; None after the last."""
    try:
        return next(batches, None)
    except RuntimeError as error:
        if not str(error).startswith(_WORKER_DIED):
            raise
    except (ConnectionError, EOFError, FileNotFoundError):
        pass  # it died with tensors that were not fetched; samples return their errors
    return TglError(
        "a worker process died, most likely for lack of memory",
        hint="rerun with fewer --workers; training resumes from the last saved step",
    )


def _allow_files(more: int) -> None:
    """Raise the limit of open files if it is too low for `more` of them.

    Raises:
        SystemRefused: the system does not allow so many; loading would wait forever.
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
            hint=f"raise the limit (ulimit -n {wanted}), or use fewer --workers",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _begin_worker(open_files: tuple[int, int], _: int) -> None:
    """Set up a worker: the parent's limit of open files, one thread, and little memory.

    Resizing frames must not compete with the network for cores.
    """
    end_with_parent()
    resource.setrlimit(resource.RLIMIT_NOFILE, open_files)
    torch.set_num_threads(1)
    gc.freeze()  # else looking for garbage copies the memory that all workers were forked with
    pa.set_memory_pool(pa.system_memory_pool())  # the default one keeps what it has freed
    _free_large_blocks()


def _free_large_blocks() -> None:
    """Give the memory of decoded frames back as soon as they are freed.

    The C library would keep blocks of up to 32 MB for later ones: more than 100 MB per worker.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):  # another C library than GNU's
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)

"""Features of a video that do not fit on the device: kept in host memory, then in a file."""

from __future__ import annotations

import os
import shutil
import tempfile
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from stages.core.model.backbones.features import FrameFeatures

_LEVELS = ("fine", "middle", "coarse")
_WRITES_AHEAD = 2
"""Chunks that may wait for the file, in memory."""


@dataclass(frozen=True)
class StoreLimits:
    """Where features may be kept beside the device, and how many.

    Attributes:
        host: bytes of host memory.
        disk: bytes of the file of a video; never more than half of what is free.
        folder: of the file, the scratch folder of a run; None keeps no file.
    """

    host: float = 0.0
    disk: float = 0.0
    folder: Path | None = None


@dataclass(frozen=True)
class _Place:
    """Where a chunk is in the file.

    Attributes:
        start: of its first byte.
        levels: shape and type of each level.
    """

    start: int
    levels: tuple[tuple[torch.Size, torch.dtype], ...]


class FeatureStore:
    """Keeps the features of chunks of frames, unchanged to the bit.

    The file has no name: it is gone when it is closed, also after a kill. A full disk is no error,
    only less room.

    Args:
        limits: of memory and file.
        threads: write and read the file.

    Attributes:
        host_bytes, disk_bytes: kept so far.
    """

    def __init__(self, limits: StoreLimits, threads: Executor):
        self.host_bytes = 0
        self.disk_bytes = 0
        self._limits = limits
        self._threads = threads
        self._host: dict[int, FrameFeatures] = {}
        self._places: dict[int, Future[_Place | None]] = {}
        self._waiting: list[Future[_Place | None]] = []
        self._reading: list[Future[FrameFeatures | None]] = []
        self._position: Tensor | None = None
        self._file: IO[bytes] | None = None
        self._room = 0.0 if limits.folder is None else limits.disk

    def put(self, chunk: int, features: FrameFeatures) -> None:
        """Keep the features of a chunk, if there is room and they are not kept already."""
        if chunk in self._host or chunk in self._places:
            return
        size = features.nbytes
        if self.host_bytes + size <= self._limits.host:
            self._host[chunk] = features.to("cpu")
            self.host_bytes += size
        elif self.disk_bytes + size <= self._room and self._opened() is not None:
            if self._position is None:
                self._position = features.position.to("cpu")
            on_host = features.to("cpu")
            while len(self._waiting) >= _WRITES_AHEAD:
                self._waiting.pop(0).result()
            self._places[chunk] = self._threads.submit(self._write, self.disk_bytes, on_host)
            self._waiting.append(self._places[chunk])
            self.disk_bytes += size

    def fetch(self, chunk: int) -> Future[FrameFeatures | None] | None:
        """Features of a chunk in host memory, being read or ready; None if it is not kept.

        The result is None where the file could not be written.
        """
        if chunk in self._host:
            ready: Future[FrameFeatures | None] = Future()
            ready.set_result(self._host[chunk])
            return ready
        place = self._places.get(chunk)
        if place is None or (place.done() and place.result() is None):
            return None
        self._reading = [read for read in self._reading if not read.done()]
        self._reading.append(self._threads.submit(self._read, place))
        return self._reading[-1]

    def close(self) -> None:
        """Drop everything; the file is closed when no thread uses it any more."""
        running: list[Future[Any]] = [*self._reading, *self._waiting]
        wait([future for future in running if not future.cancel()])
        self._reading.clear()
        self._waiting.clear()
        self._host.clear()
        self._places.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> IO[bytes] | None:
        """The file, made at its first use; None if there is no room for one."""
        if self._file is None and self._limits.folder is not None:
            with suppress(OSError):
                folder = self._limits.folder
                self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
                free = shutil.disk_usage(folder).free
                self._room = min(self._room, free / 2)
            if self._file is None:
                self._room = 0.0
        return self._file

    def _write(self, start: int, features: FrameFeatures) -> _Place | None:
        assert self._file is not None
        levels, end = [], start
        for name in _LEVELS:
            level = getattr(features, name).contiguous()
            levels.append((level.shape, level.dtype))
            try:
                end += _write_all(self._file.fileno(), _bytes_of(level), end)
            except OSError:
                self._room = 0.0
                return None
        return _Place(start, tuple(levels))

    def _read(self, future: Future[_Place | None]) -> FrameFeatures | None:
        place = future.result()
        if place is None:
            return None
        assert self._file is not None
        assert self._position is not None
        levels, start = {}, place.start
        for name, (shape, dtype) in zip(_LEVELS, place.levels, strict=True):
            levels[name] = torch.empty(shape, dtype=dtype)
            start += _read_all(self._file.fileno(), _bytes_of(levels[name]), start)
        return FrameFeatures(**levels, position=self._position)


def _bytes_of(tensor: Tensor) -> memoryview:
    return tensor.detach().flatten().view(torch.uint8).numpy().data


def _write_all(file: int, data: memoryview, start: int) -> int:
    done = 0
    while done < len(data):
        done += os.pwrite(file, data[done:], start + done)
    return done


def _read_all(file: int, data: memoryview, start: int) -> int:
    done = 0
    while done < len(data):
        count = os.preadv(file, [data[done:]], start + done)
        if not count:
            raise OSError("the file of features is shorter than it was written")
        done += count
    return done

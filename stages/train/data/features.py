"""Features of the frames of a batch: encoded when needed, or cached on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from stages.core.index.index import Index, Video
from stages.core.model.backbones.features import FrameFeatures
from stages.train.data.dataset import Sample, read_pixels
from stages.train.data.windows import Window

Encode = Callable[[Tensor], FrameFeatures]
"""From frames, uint8 (T, 3, S, S), to features of T frames, without gradient."""

CHUNK_FRAMES = 8
_GIGABYTE = 1e9


class ClipFeatures(Protocol):
    """A source of features of training clips and windows."""

    def of_batch(self, samples: Sequence[Sample]) -> FrameFeatures:
        """Features of the E * T frames of all clips, clip after clip."""

    def of_window(self, window: Window) -> FrameFeatures:
        """Features of the n frames of a window."""


class LiveFeatures:
    """Encodes every clip when it is needed."""

    def __init__(self, encode: Encode, device: torch.device):
        self._encode = encode
        self._device = device

    def of_batch(self, samples: Sequence[Sample]) -> FrameFeatures:
        """As in :class:`ClipFeatures`; the samples have pixels."""
        pixels = torch.cat([sample.pixels for sample in samples if sample.pixels is not None])
        return self._encode(pixels.to(self._device))

    def of_window(self, window: Window) -> FrameFeatures:
        """As in :class:`ClipFeatures`, a few frames at a time; the window has pixels."""
        assert window.pixels is not None
        chunks = window.pixels.split(CHUNK_FRAMES)
        return FrameFeatures.cat([self._encode(chunk.to(self._device)) for chunk in chunks])


class SeveralFeatures:
    """Features of clips and windows from several indexes.

    Args:
        sources: one per index.
    """

    def __init__(self, sources: Sequence[ClipFeatures]):
        self._sources = tuple(sources)

    def of_batch(self, samples: Sequence[Sample]) -> FrameFeatures:
        """As in :class:`ClipFeatures`."""
        return FrameFeatures.cat([self._sources[s.member].of_batch([s]) for s in samples])

    def of_window(self, window: Window) -> FrameFeatures:
        """As in :class:`ClipFeatures`."""
        return self._sources[window.member].of_window(window)


@dataclass
class DiskBudget:
    """Number of bytes that caches may still write."""

    free: int

    @staticmethod
    def of(gigabytes: float) -> DiskBudget:
        """A budget in gigabytes."""
        return DiskBudget(int(gigabytes * _GIGABYTE))


class CachedFeatures:
    """Features on disk as float16, chunk by chunk, up to a budget.

    A chunk is always encoded whole, so its numbers do not depend on the clip that needs it first: a
    resumed run reads the same ones. When the budget is spent, or the disk is full, further chunks
    are encoded whenever they are needed.

    Args:
        folder: of the chunks; processes may share it.
        index: of the videos.
        budget: shared by all caches of a run; files that `folder` already has count towards it.
    """

    def __init__(
        self,
        folder: Path,
        index: Index,
        encode: Encode,
        size: int,
        device: torch.device,
        budget: DiskBudget,
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._index = index
        self._encode = encode
        self._size = size
        self._device = device
        self._budget = budget
        budget.free -= sum(file.stat().st_size for file in folder.iterdir())
        blank = encode(torch.zeros(1, 3, size, size, dtype=torch.uint8, device=device))
        self._position = blank.position
        self._shapes = [level.shape[1:] for level in (blank.fine, blank.middle, blank.coarse)]
        self._row = sum(shape.numel() for shape in self._shapes)

    def of_batch(self, samples: Sequence[Sample]) -> FrameFeatures:
        """As in :class:`ClipFeatures`."""
        rows = np.empty((sum(len(sample.frames) for sample in samples), self._row), np.float16)
        done = 0
        for sample in samples:
            video = self._index.videos[sample.video_id]
            count = len(sample.frames)
            self._fill(rows[done : done + count], video, sample.frames, sample.flipped)
            done += count
        return self._unpack(rows)

    def of_window(self, window: Window) -> FrameFeatures:
        """As in :class:`ClipFeatures`."""
        return self.of_video(self._index.videos[window.video_id], window.frames)

    def of_video(self, video: Video, frames: np.ndarray) -> FrameFeatures:
        """Features of T frames of a video, without augmentation."""
        rows = np.empty((len(frames), self._row), np.float16)
        self._fill(rows, video, frames, flipped=False)
        return self._unpack(rows)

    def _fill(self, rows: np.ndarray, video: Video, frames: np.ndarray, flipped: bool) -> None:
        """Write the features of `frames` (T,) into `rows` (T, row)."""
        for chunk in np.unique(frames // CHUNK_FRAMES):
            chosen = np.flatnonzero(frames // CHUNK_FRAMES == chunk)
            rows[chosen] = self._chunk(video, int(chunk), flipped)[
                frames[chosen] - chunk * CHUNK_FRAMES
            ]

    def _chunk(self, video: Video, chunk: int, flipped: bool) -> np.ndarray:
        """All frames of a chunk, float16 (n, row)."""
        first = chunk * CHUNK_FRAMES
        frames = np.arange(first, min(first + CHUNK_FRAMES, video.num_frames))
        path = self._folder / f"{video.video_id}.{chunk}{'.flipped' if flipped else ''}"
        wanted = len(frames) * self._row * np.dtype(np.float16).itemsize
        if path.is_file() and path.stat().st_size == wanted:
            return np.memmap(path, np.float16, "r", shape=(len(frames), self._row))
        pixels = read_pixels(video, frames, self._size)
        pixels = pixels.flip(-1) if flipped else pixels
        rows = self._pack(self._encode(pixels.to(self._device)))
        if wanted <= self._budget.free:
            self._store(path, rows)
        return rows

    def _store(self, path: Path, rows: np.ndarray) -> None:
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            rows.tofile(temporary)
            temporary.replace(path)
            self._budget.free -= rows.nbytes
        except OSError:
            # A full disk is no reason to stop: without a cache the run is only slower.
            temporary.unlink(missing_ok=True)
            self._budget.free = 0

    def _pack(self, features: FrameFeatures) -> np.ndarray:
        levels = (features.fine, features.middle, features.coarse)
        flat = torch.cat([level.flatten(1) for level in levels], dim=1)  # (n, row)
        return flat.to(torch.float16).cpu().numpy()

    def _unpack(self, rows: np.ndarray) -> FrameFeatures:
        flat = torch.from_numpy(rows).to(self._device).float()
        sizes = [shape.numel() for shape in self._shapes]
        fine, middle, coarse = (
            part.view(len(rows), *shape)
            for part, shape in zip(flat.split(sizes, dim=1), self._shapes, strict=True)
        )
        return FrameFeatures(fine, middle, coarse, self._position)

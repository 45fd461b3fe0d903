"""Features of the frozen encoder on disk: which videos have them, and reading those of a clip."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stages.core.index.index import Video

_GIGABYTE = 1e9
_BYTES = np.dtype(np.float16).itemsize


@dataclass
class DiskBudget:
    """Number of bytes that caches may still plan for."""

    free: int

    @staticmethod
    def of(gigabytes: float) -> DiskBudget:
        """A budget in gigabytes."""
        return DiskBudget(int(gigabytes * _GIGABYTE))


@dataclass(frozen=True)
class StoredRows:
    """Files of float16 (num_frames, row), one of each video and one of its mirror image.

    Which videos have files is decided before the first one is written, so that it depends neither
    on the order of clips nor on an interruption.

    Attributes:
        folder: of the files; processes may share it.
        row: numbers of a frame.
        videos: ids of the videos whose features are stored when they are first needed.
    """

    folder: Path
    row: int
    videos: frozenset[str]

    @staticmethod
    def plan(
        folder: Path, row: int, videos: Iterable[Video], budget: DiskBudget, *, mirrored: bool
    ) -> StoredRows:
        """Choose the first videos that fit a budget, and take their bytes from it.

        Args:
            mirrored: clips may be mirrored, so that a video has two files.
        """
        chosen = set()
        for video in videos:
            needed = video.num_frames * row * _BYTES * (2 if mirrored else 1)
            if needed <= budget.free:
                budget.free -= needed
                chosen.add(video.video_id)
        return StoredRows(folder, row, frozenset(chosen))

    def holds(self, video_id: str) -> bool:
        """Return whether the features of a video are stored, now or when they are first needed."""
        return video_id in self.videos

    def read(self, video: Video, frames: np.ndarray, flipped: bool) -> Tensor | None:
        """Read features of T frames, float16 (T, row); None if they are not stored yet.

        Args:
            frames: int (T,) positions in the video.
            flipped: of the mirrored frames.
        """
        path = self._path(video, flipped)
        rows = np.empty((len(frames), self.row), np.float16)
        try:
            with path.open("rb", buffering=0) as file:
                if os.fstat(file.fileno()).st_size != video.num_frames * self.row * _BYTES:
                    return None
                for place, frame in enumerate(frames):
                    file.seek(int(frame) * self.row * _BYTES)
                    if file.readinto(rows[place].view(np.uint8)) != self.row * _BYTES:
                        return None
        except OSError:
            return None
        return torch.from_numpy(rows)

    def write(self, video: Video, flipped: bool, parts: Iterable[np.ndarray]) -> bool:
        """Write the features of a whole video under a temporary name, then move them.

        Args:
            parts: float16 (n, row) each, of all frames in order.

        Returns:
            False if the disk is full: no reason to stop, the run is only slower.
        """
        path = self._path(video, flipped)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with temporary.open("wb") as file:
                for part in parts:
                    file.write(np.ascontiguousarray(part).data)
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            return False
        return True

    def _path(self, video: Video, flipped: bool) -> Path:
        return self.folder / f"{video.video_id}{'.mirrored' if flipped else ''}"

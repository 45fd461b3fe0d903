"""The frame files of a video, read and hashed while ffmpeg writes the next ones."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from stages.extract_frames.config import ExtractConfig


@dataclass(frozen=True)
class FrameFile:
    """A frame on disk, in the folder of its video."""

    name: str
    bytes: int
    sha256: str


class WrittenFrames:
    """Frames numbered from 0 in `folder`, each read once, soon after it was written.

    Hashing then costs no time of its own: the file is still in memory, and ffmpeg goes on.
    """

    def __init__(self, folder: Path, config: ExtractConfig):
        self._folder = str(folder)
        self._config = config
        self._read: list[FrameFile] = []

    def read_whole(self) -> None:
        """Read those that have a successor: ffmpeg closes a file before it opens the next."""
        while self._exists(len(self._read) + 1):
            self._read_next()

    def read_all(self) -> list[FrameFile]:
        """All frames in order; call it when ffmpeg has ended."""
        while self._exists(len(self._read)):
            self._read_next()
        return self._read

    def _exists(self, number: int) -> bool:
        path = f"{self._folder}/{frame_name(number, self._config)}"
        return os.path.exists(path)  # noqa: PTH110 (a Path takes as long as hashing a frame)

    def _read_next(self) -> None:
        name = frame_name(len(self._read), self._config)
        with open(f"{self._folder}/{name}", "rb", buffering=0) as file:  # noqa: PTH123 (likewise)
            content = file.readall()
        self._read.append(FrameFile(name, len(content), hashlib.sha256(content).hexdigest()))


def frame_name(number: int, config: ExtractConfig) -> str:
    """The file name of a frame, 00000.jpg."""
    return f"{number:0{config.digits}d}.{config.format}"

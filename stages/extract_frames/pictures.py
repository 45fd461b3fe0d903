"""The pictures of a video, looked at while ffmpeg still works on the next ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from stages.extract_frames.config import ExtractConfig


@dataclass(frozen=True)
class Picture:
    """A picture as it lies on disk."""

    path: Path
    bytes: int
    sha256: str


class WrittenPictures:
    """Pictures numbered from 0 in `folder`, each read once, soon after it was written.

    Its digest then costs no time of its own: the file is still in memory, and ffmpeg goes on.
    """

    def __init__(self, folder: Path, config: ExtractConfig):
        self._folder = folder
        self._config = config
        self._taken: list[Picture] = []

    def take_whole(self) -> None:
        """Take those that have a successor: ffmpeg closes a picture before it opens the next."""
        while self._path(len(self._taken) + 1).exists():
            self._take()

    def take_all(self) -> list[Picture]:
        """All pictures in order; ffmpeg has ended."""
        while self._path(len(self._taken)).exists():
            self._take()
        return self._taken

    def _take(self) -> None:
        path = self._path(len(self._taken))
        content = path.read_bytes()
        self._taken.append(Picture(path, len(content), hashlib.sha256(content).hexdigest()))

    def _path(self, number: int) -> Path:
        return self._folder / picture_name(number, self._config)


def picture_name(number: int, config: ExtractConfig) -> str:
    """File name of a picture, 00000.jpg."""
    return f"{number:0{config.digits}d}.{config.format}"

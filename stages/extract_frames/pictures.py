"""The pictures of a video, looked at while ffmpeg still works on the next ones."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from stages.extract_frames.config import ExtractConfig


@dataclass(frozen=True)
class Picture:
    """A picture as it lies on disk, in the folder of its video."""

    name: str
    bytes: int
    sha256: str


class WrittenPictures:
    """Pictures numbered from 0 in `folder`, each read once, soon after it was written.

    Its digest then costs no time of its own: the file is still in memory, and ffmpeg goes on.
    """

    def __init__(self, folder: Path, config: ExtractConfig):
        self._folder = str(folder)
        self._config = config
        self._taken: list[Picture] = []

    def take_whole(self) -> None:
        """Take those that have a successor: ffmpeg closes a picture before it opens the next."""
        while self._is_there(len(self._taken) + 1):
            self._take()

    def take_all(self) -> list[Picture]:
        """All pictures in order; ffmpeg has ended."""
        while self._is_there(len(self._taken)):
            self._take()
        return self._taken

    def _is_there(self, number: int) -> bool:
        path = f"{self._folder}/{picture_name(number, self._config)}"
        return os.path.exists(path)  # noqa: PTH110 (a Path costs a picture as much as its digest)

    def _take(self) -> None:
        name = picture_name(len(self._taken), self._config)
        with open(f"{self._folder}/{name}", "rb", buffering=0) as file:  # noqa: PTH123 (likewise)
            content = file.readall()
        self._taken.append(Picture(name, len(content), hashlib.sha256(content).hexdigest()))


def picture_name(number: int, config: ExtractConfig) -> str:
    """File name of a picture, 00000.jpg."""
    return f"{number:0{config.digits}d}.{config.format}"

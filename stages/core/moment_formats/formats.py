"""The two kinds of formats: one file for all videos, and one file per video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from schemas.errors import MissingInput
from schemas.layouts import safe_name
from stages.core.datasets.moment_rows import MomentRow
from stages.core.moment_formats.context import MomentContext, by_video

Reader: TypeAlias = Callable[[Path, MomentContext], Iterator[MomentRow]]
Writer: TypeAlias = Callable[[Path, Iterable[MomentRow], MomentContext], None]
VideoWriter: TypeAlias = Callable[[Path, str, Iterable[MomentRow], MomentContext], None]
Redirect: TypeAlias = Callable[[Path], Path]
"""From the path of a file to the one that is written first, to be moved there."""


def _itself(path: Path) -> Path:
    return path


@dataclass(frozen=True)
class WholeFormat:
    """One file for all videos.

    Attributes:
        suffix: of its files.
        recognises: returns whether a file that begins with these bytes is of this format; None for
            the format of every file with this suffix that no other one recognises.
        says_never: whether it can say that a sentence is never true.
    """

    suffix: str
    read: Reader
    write_one: Writer
    recognises: Callable[[bytes], bool] | None = None
    says_never: bool = False

    def write(
        self,
        path: Path,
        rows: Iterable[MomentRow],
        context: MomentContext,
        redirect: Redirect = _itself,
    ) -> None:
        """Write the file `path`."""
        self.write_one(redirect(path), rows, context)


@dataclass(frozen=True)
class VideoFormat:
    """One file per video, `<folder>/<video><suffix>`."""

    suffix: str
    read_one: Reader
    write_one: VideoWriter
    says_never = False

    def read(self, path: Path, context: MomentContext) -> Iterator[MomentRow]:
        """Read one file, or all files of a folder."""
        if not path.is_dir():
            yield from self.read_one(path, context)
            return
        files = sorted(path.glob(f"*{self.suffix}"))
        if not files:
            raise MissingInput(f"has no {self.suffix} file", where=path)
        for file in files:
            yield from self.read_one(file, context)

    def write(
        self,
        path: Path,
        rows: Iterable[MomentRow],
        context: MomentContext,
        redirect: Redirect = _itself,
    ) -> None:
        """Write one file per video into the folder `path`."""
        for video_id, moments in by_video(rows).items():
            name = safe_name(video_id, where=path)
            target = redirect(path / f"{name}{self.suffix}")
            target.parent.mkdir(parents=True, exist_ok=True)
            self.write_one(target, video_id, moments, context)


MomentFormat: TypeAlias = WholeFormat | VideoFormat

"""The formats by name: how each is recognised, read and written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from schemas.errors import ConfigError, MissingInput
from schemas.files import open_regular
from schemas.layouts import MOMENTS_TABLE, safe_name
from stages.core.moment_formats import cvat, elan
from stages.core.moment_formats.charades import read_charades, write_charades
from stages.core.moment_formats.context import MomentContext, Row, by_video
from stages.core.moment_formats.label_studio import read_label_studio, write_label_studio
from stages.core.moment_formats.qvhighlights import read_qvhighlights, write_qvhighlights
from stages.core.moment_formats.tables import read_csv, read_parquet, write_csv, write_parquet
from stages.core.moment_formats.tgl_json import read_tgl, write_tgl
from stages.core.moment_formats.via import read_via, write_via

Reader: TypeAlias = Callable[[Path, MomentContext], Iterator[Row]]
Writer: TypeAlias = Callable[[Path, Iterable[Row], MomentContext], None]
Place: TypeAlias = Callable[[Path], Path]
VideoWriter: TypeAlias = Callable[[Path, str, Iterable[Row], MomentContext], None]

_HEAD_BYTES = 4096
_VIA_MARKS = (b"temporal_", b"CSV_HEADER")


def _itself(path: Path) -> Path:
    return path


@dataclass(frozen=True)
class WholeFormat:
    """One file for all videos."""

    read: Reader
    write_one: Writer

    def write(
        self, path: Path, rows: Iterable[Row], context: MomentContext, place: Place = _itself
    ) -> None:
        """Write the file `path`; `place` gives where its bytes go first."""
        self.write_one(place(path), rows, context)


@dataclass(frozen=True)
class VideoFormat:
    """One file a video, `<folder>/<video><suffix>`."""

    suffix: str
    read_one: Reader
    write_one: VideoWriter

    def read(self, path: Path, context: MomentContext) -> Iterator[Row]:
        """Rows of one file, or of all files of a folder."""
        if not path.is_dir():
            yield from self.read_one(path, context)
            return
        files = sorted(path.glob(f"*{self.suffix}"))
        if not files:
            raise MissingInput(f"holds no {self.suffix} file", where=path)
        for file in files:
            yield from self.read_one(file, context)

    def write(
        self, path: Path, rows: Iterable[Row], context: MomentContext, place: Place = _itself
    ) -> None:
        """Write a file for each video into the folder `path`; see :class:`WholeFormat`."""
        for video_id, moments in by_video(rows).items():
            name = safe_name(video_id, where=path)
            target = place(path / f"{name}{self.suffix}")
            target.parent.mkdir(parents=True, exist_ok=True)
            self.write_one(target, video_id, moments, context)


FORMATS: dict[str, WholeFormat | VideoFormat] = {
    "tgl": WholeFormat(read_tgl, write_tgl),
    "parquet": WholeFormat(read_parquet, write_parquet),
    "csv": WholeFormat(read_csv, write_csv),
    "qvhighlights": WholeFormat(read_qvhighlights, write_qvhighlights),
    "charades-sta": WholeFormat(read_charades, write_charades),
    "label-studio": WholeFormat(read_label_studio, write_label_studio),
    "cvat": VideoFormat(cvat.SUFFIX, cvat.read_cvat, cvat.write_cvat),
    "via": WholeFormat(read_via, write_via),
    "elan": VideoFormat(elan.SUFFIX, elan.read_elan, elan.write_elan),
}
_BY_SUFFIX = {
    ".parquet": "parquet",
    ".jsonl": "qvhighlights",
    ".txt": "charades-sta",
    cvat.SUFFIX: "cvat",
    elan.SUFFIX: "elan",
}


def read_moments_file(path: Path, name: str | None, context: MomentContext) -> Iterator[Row]:
    """Rows of a moments file of any format.

    Args:
        name: of the format; None finds out.

    Raises:
        MissingInput: no such file.
        ConfigError: the format cannot be told.
        TglError: as the format's reader raises them.
    """
    if not os.path.lexists(path):
        raise MissingInput("no such moments file", where=path)
    if (path / MOMENTS_TABLE).is_file():  # a folder that tgl made
        path /= MOMENTS_TABLE
    return FORMATS[name or detect_format(path)].read(path, context)


def detect_format(path: Path) -> str:
    """The format of a file by its suffix and its first bytes.

    Raises:
        ConfigError: it is not one that can be told.
    """
    if path.is_dir():
        for name, known in FORMATS.items():
            if isinstance(known, VideoFormat) and any(path.glob(f"*{known.suffix}")):
                return name
    found = _BY_SUFFIX.get(path.suffix.lower())
    if found is not None:
        return found
    head = b"" if path.is_dir() else _head(path)
    if path.suffix.lower() == ".csv":
        return "via" if any(mark in head for mark in _VIA_MARKS) else "csv"
    if path.suffix.lower() == ".json":
        return "label-studio" if head.lstrip().startswith(b"[") else "tgl"
    raise ConfigError("cannot tell its format", where=path, hint="name it with --moments-format")


def _head(path: Path) -> bytes:
    with open_regular(path) as file:
        return file.read(_HEAD_BYTES)

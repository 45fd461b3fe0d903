"""The formats by name: recognising the one of a file, and reading it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import cast

from schemas.errors import ConfigError, MissingInput
from schemas.files import open_regular
from schemas.layouts import MOMENTS_TABLE, OBJECTS_TABLE
from stages.core.datasets.moment_rows import MomentRow, union_rows
from stages.core.index.table_paths import moments_folder
from stages.core.moment_formats import FORMAT_NAMES, FORMATS
from stages.core.moment_formats.context import MomentContext
from stages.core.moment_formats.formats import MomentFormat, VideoFormat

_HEAD_BYTES = 4096


def moment_format(name: str) -> MomentFormat:
    """Load a format, one of FORMAT_NAMES."""
    module, _, found = FORMATS[name].partition(".")
    return cast(MomentFormat, getattr(import_module(f"{__package__}.{module}"), found))


def read_moments_file(path: Path, name: str | None, context: MomentContext) -> Iterator[MomentRow]:
    """Read a moments file of any format.

    Moments beside an objects table, as `tgl propagate` and `tgl assemble` write them, are of tracks
    that are not referents of the index, even if they are called alike. They are read as moments of
    the whole expression.

    Args:
        name: of the format; None detects it.

    Raises:
        MissingInput: no such file.
        ConfigError: the format cannot be detected, or OUT of tgl annotate has several annotators.
        TglError: as the format's reader raises them.
    """
    if not os.path.lexists(path):
        raise MissingInput("no such moments file", where=path)
    path = moments_folder(path)
    if (path / MOMENTS_TABLE).is_file():  # a folder that tgl made
        path /= MOMENTS_TABLE
    rows = moment_format(name or detect_format(path)).read(path, context)
    of_tracks = path.name == MOMENTS_TABLE and path.with_name(OBJECTS_TABLE).is_file()
    return iter(union_rows(rows)) if of_tracks else rows


def detect_format(path: Path) -> str:
    """Return the format of a file by its suffix and its first bytes, or of a folder by its files.

    Raises:
        ConfigError: it cannot be detected.
    """
    known = {name: moment_format(name) for name in FORMAT_NAMES}
    if path.is_dir():
        for name, found in known.items():
            if isinstance(found, VideoFormat) and any(path.glob(f"*{found.suffix}")):
                return name
    fallback = None
    for name, found in known.items():
        if found.suffix != path.suffix.lower():
            continue
        if isinstance(found, VideoFormat) or found.recognises is None:
            fallback = name
        elif found.recognises(_head(path)):
            return name
    if fallback is None and path.is_dir():
        raise MissingInput(
            f"has no {MOMENTS_TABLE}, and no file of a moment format",
            where=path,
            hint="name OUT of tgl select-moments or tgl annotate, an index, or a file",
        )
    if fallback is None:
        raise ConfigError(
            "its format cannot be detected", where=path, hint="name it with --moments-format"
        )
    return fallback


def _head(path: Path) -> bytes:
    if path.is_dir():
        return b""
    with open_regular(path) as file:
        return file.read(_HEAD_BYTES)


def written_format(target: Path, name: str | None) -> str:
    """Return the format to write: the one named, or that of a file's suffix.

    Args:
        target: the file, or folder of files, that is written.
        name: of the format; None chooses by the suffix (`.json`, or none, is tgl's own).

    Raises:
        ConfigError: the suffix names no format, or another one than `name`.
    """
    suffix = target.suffix.lower()
    suffixes = {known: moment_format(known).suffix for known in FORMAT_NAMES}
    if name is None:
        fitting = [known for known, own in suffixes.items() if own == suffix]
        if suffix and not fitting:
            raise ConfigError(
                f"its suffix is none of {', '.join(dict.fromkeys(suffixes.values()))}",
                where=target,
                hint="name the format with --moments-format",
            )
        return fitting[0] if fitting else FORMAT_NAMES[0]
    if suffix not in ("", suffixes[name]):
        what = f"files of {name} end in {suffixes[name]}"
        if isinstance(moment_format(name), VideoFormat):
            what += ", one for each video in a folder"
        raise ConfigError(what, where=target)
    return name

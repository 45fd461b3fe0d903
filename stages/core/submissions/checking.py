"""Checking a submission: every fault of a zip, without extracting it."""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from schemas.errors import CorruptInput, UnsafeName
from schemas.files import open_regular
from schemas.layouts import MASK_SUFFIX, safe_name
from stages.core.submissions.expected_masks import ExpectedVideo, Size, read_expected
from stages.core.submissions.mask_files import LARGEST_FILE_BYTES, mask_fault
from stages.core.submissions.servers import MEVIS, PREFIXES

ZIP_ERRORS = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    ValueError,
    EOFError,
    OSError,
    OverflowError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
)
"""Errors that Python's zipfile raises for damaged archives."""
_ENCRYPTED = 0x1
_DEPTH = 3  # VIDEO/EXPRESSION/FRAME.png


def check_submission(
    path: Path,
    meta: Path | None,
    *,
    server: str | None,
    frames_dir: Path | None = None,
    exclude: Path | None = None,
) -> list[str]:
    """List every fault of a zip, one line each; a server takes a zip without faults.

    Only expected entries are read, in memory, each up to a limit.

    Args:
        path: the zip.
        meta: the split's meta_expressions.json. None derives from the zip what is expected: of each
            expression, every frame that any expression of its video has. A video or expression
            that is missing as a whole is not found then.
        server: one of SERVER_NAMES; None detects it by the layout of the zip.
        frames_dir, exclude: see :func:`stages.core.submissions.expected_masks.read_expected`.

    Raises:
        MissingInput: no such file.
        CorruptInput: not a zip, or the meta file is damaged.
    """
    expected = None
    if meta is not None:
        expected = read_expected(meta, frames_dir=frames_dir, exclude=exclude)
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            prefix = PREFIXES[server or server_of(archive)]
            return list(_faults(archive, expected, prefix))
    except ZIP_ERRORS as error:
        raise CorruptInput(f"is not a complete zip ({error})", where=path) from error


def server_of(archive: zipfile.ZipFile) -> str:
    """Detect the server for which a zip is laid out; MeViS's has no folder around the videos."""
    for server, prefix in PREFIXES.items():
        if prefix and any(name.startswith(prefix) for name in archive.namelist()):
            return server
    return MEVIS


def _faults(
    archive: zipfile.ZipFile, known: list[ExpectedVideo] | None, prefix: str
) -> Iterator[str]:
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        fault = _name_fault(entry, entries)
        if fault is not None:
            yield f"{entry.orig_filename!r} {fault}"
        elif not entry.is_dir():
            entries[entry.filename] = entry
    expected = _suggested(entries, prefix) if known is None else known
    if not expected:
        yield f"has no mask at {prefix}VIDEO/EXPRESSION/FRAME{MASK_SUFFIX}"
    wanted = {f"{prefix}{path}" for video in expected for path in video.paths()}
    extra = [name for name in entries if name not in wanted]
    if extra and not wanted & entries.keys():
        yield _misplaced(extra[0], prefix)
    yield from (f"{_shown(name)} is not expected" for name in extra)
    for video in expected:
        yield from _video_faults(archive, video, entries, prefix)


def _suggested(names: Iterable[str], prefix: str) -> list[ExpectedVideo]:
    """Derive from the entries of a zip the masks that it should have."""
    videos: dict[str, tuple[dict[str, None], set[str]]] = {}
    for name in names:
        parts = name.removeprefix(prefix).split("/")
        if not name.startswith(prefix) or len(parts) != _DEPTH or not _are_names(parts):
            continue
        video, expression, file = parts
        expressions, frames = videos.setdefault(video, ({}, set()))
        expressions[expression] = None
        frames.add(file.removesuffix(MASK_SUFFIX))
    return [
        ExpectedVideo(video, tuple(expressions), tuple(sorted(frames)))
        for video, (expressions, frames) in videos.items()
    ]


def _are_names(parts: list[str]) -> bool:
    """Return whether these are valid names of a video, an expression and a mask file."""
    try:
        for part in parts:
            safe_name(part, where="")
    except UnsafeName:
        return False
    return parts[-1].endswith(MASK_SUFFIX)


def _name_fault(entry: zipfile.ZipInfo, known: dict[str, zipfile.ZipInfo]) -> str | None:
    """Return why an entry must not be in a zip at all, None if it may."""
    name = entry.orig_filename
    parts = name.rstrip("/").split("/")
    if name.startswith("/") or ":" in parts[0] or "\\" in name or "\0" in name or ".." in parts:
        return "would be unpacked outside the folder"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "is a symbolic link"
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if entry.filename in known:
        return "is in the zip twice"
    return None


def _shown(name: str) -> str:
    """Return the name of an entry in one line, without control characters."""
    return name if name.isprintable() else repr(name)


def _misplaced(example: str, prefix: str) -> str:
    place = f"in {prefix}" if prefix else "at the root of the zip"
    return f"no expected mask found: the video folders belong {place}, found {_shown(example)}"


def _video_faults(
    archive: zipfile.ZipFile,
    video: ExpectedVideo,
    entries: dict[str, zipfile.ZipInfo],
    prefix: str,
) -> Iterator[str]:
    size = video.size
    for path in video.paths():
        name = f"{prefix}{path}"
        entry = entries.get(name)
        if entry is None:
            yield f"{name} is missing"
            continue
        fault, found = _entry_fault(archive, entry, size)
        if fault is not None:
            yield f"{name} {fault}"
        elif size is None:
            size = found


def _entry_fault(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, size: Size | None
) -> tuple[str | None, Size | None]:
    if entry.file_size > LARGEST_FILE_BYTES:
        return f"unpacks to {entry.file_size} bytes, far more than a mask has", None
    try:
        with archive.open(entry) as file:
            data = file.read(LARGEST_FILE_BYTES + 1)
    except ZIP_ERRORS as error:
        return f"cannot be unpacked ({error})", None
    return mask_fault(data, size)

"""The log of an annotator's actions: one line of JSON each, on disk before it is acknowledged.

Every line ends in a checksum of itself, and lines are numbered. A kill or a power loss can cut or
spoil only the line that was being written, the last one, which nobody was told of; it is cut off.
Damage anywhere else is an error: nothing after it can be trusted.
"""

from __future__ import annotations

import errno
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.directories import write_bytes_atomic
from schemas.errors import CorruptInput, OutputBlocked, SchemaMismatch, system_errors
from schemas.files import read_regular

FORMAT = "tgl-annotation-log"
VERSION = 1
_CHECKSUM = re.compile(rb',"crc":"([0-9a-f]{8})"\}')
_CHECKSUM_BYTES = len(b',"crc":"00000000"}')
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_RESTORE = "restore the file from a copy"


@dataclass(frozen=True)
class Line:
    """A line of the log.

    Attributes:
        number: in the file, from 1 on; the header is line 1.
        record: without number and checksum.
    """

    number: int
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Content:
    """The readable part of a log.

    Attributes:
        lines: the header first.
        size: bytes of these lines.
        torn: bytes after them, of a line that was not written completely.
    """

    lines: tuple[Line, ...]
    size: int
    torn: int


def encode_line(number: int, record: Mapping[str, Any]) -> bytes:
    """A record as the line with this number."""
    numbered = {"line": number, **record}
    body = json.dumps(numbered, ensure_ascii=False, separators=(",", ":")).encode()[:-1]
    return body + b',"crc":"%08x"}\n' % zlib.crc32(body)


def read_log(path: Path) -> Content:
    """Read a log, which another process may be writing.

    Raises:
        MissingInput: no such file.
        CorruptInput: a line before the last one is damaged, or the file is not a log.
        SchemaMismatch: a log of another version.
    """
    return parse_log(read_regular(path), path)


def parse_log(data: bytes, path: Path) -> Content:
    """Parse the bytes of a log; raises as :func:`read_log`."""
    lines, size = parse_lines(data, path, 1)
    if not lines or lines[0].record.get("format") != FORMAT:
        raise CorruptInput("is not a log of tgl annotate", where=path, hint=_RESTORE)
    if lines[0].record.get("version") != VERSION:
        raise SchemaMismatch(
            f"log of version {lines[0].record.get('version')}, this tgl reads {VERSION}", where=path
        )
    return Content(tuple(lines), size, len(data) - size)


def parse_lines(data: bytes, path: Path, first: int) -> tuple[list[Line], int]:
    """Parse the end of a log.

    Args:
        first: number of the first line in `data`.

    Returns:
        the lines, and their bytes, after which there may be those of a torn line.

    Raises:
        CorruptInput: a line before the last one is damaged.
    """
    lines: list[Line] = []
    size = 0
    for number, (text, end) in enumerate(_complete_lines(data), start=first):
        record = _parse_line(text, number)
        if record is None:
            if end == len(data) and number > 1:
                break  # the last line: of its blocks, a power loss may keep only some
            raise CorruptInput("is damaged", where=f"{path}, line {number}", hint=_RESTORE)
        lines.append(Line(number, record))
        size = end
    return lines, size


def _complete_lines(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Lines that end in a line feed, without it, and the place after it."""
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        yield data[start:end], end + 1
        start = end + 1


def _parse_line(text: bytes, number: int) -> Mapping[str, Any] | None:
    """The record of a line; None if it is damaged."""
    body, mark = text[:-_CHECKSUM_BYTES], _CHECKSUM.fullmatch(text[-_CHECKSUM_BYTES:])
    if mark is None or int(mark[1], 16) != zlib.crc32(body):
        return None
    try:
        record = json.loads(body + b"}")
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.pop("line", None) != number:
        return None
    return record


class Log:
    """A log that this process writes; its folder is locked by the caller.

    Args:
        path: of an existing log.
        content: what :func:`read_log` found in it; what is torn is cut off.
    """

    def __init__(self, path: Path, content: Content):
        self._path = path
        self._count = len(content.lines)
        self._size = content.size
        self._failed = False
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        if content.torn:
            os.ftruncate(self._descriptor, self._size)
            os.fsync(self._descriptor)

    @classmethod
    def create(cls, path: Path, header: Mapping[str, Any]) -> Log:
        """Create a log that appears with its header or not at all."""
        line = encode_line(1, {"format": FORMAT, "version": VERSION, **header})
        write_bytes_atomic(path, line)
        sync_folder(path.parent)
        return cls(path, parse_log(line, path))

    def append(self, record: Mapping[str, Any]) -> None:
        """Append a record; it is on disk when this returns.

        Raises:
            DiskFull: the disk is full; the log is as before, and later records may fit.
            OutputBlocked: an earlier record could not be written.
            SystemRefused: the system could not write; nothing more is written.
        """
        if self._failed:
            raise OutputBlocked(
                "could not be written before", where=self._path, hint="start tgl annotate again"
            )
        line = encode_line(self._count + 1, record)
        with system_errors(self._path):
            self._write(line)
        self._count += 1
        self._size += len(line)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _write(self, line: bytes) -> None:
        try:
            _write_all(self._descriptor, line)
            os.fsync(self._descriptor)
        except OSError as error:
            # After a failed fsync nobody knows which pages are on disk: only a new start tells.
            self._failed = error.errno not in _DISK_FULL
            os.ftruncate(self._descriptor, self._size)
            raise


def sync_folder(folder: Path) -> None:
    """Write a folder's entries to disk, so that a new file in it survives a power loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]

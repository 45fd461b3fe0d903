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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.directories import write_bytes_atomic
from schemas.errors import CorruptInput, OutputBlocked, SchemaMismatch, system_errors
from schemas.files import open_regular

FORMAT = "tgl-annotation-log"
VERSION = 1
_CHECKSUM = re.compile(rb',"crc":"([0-9a-f]{8})"\}')
_CHECKSUM_BYTES = len(b',"crc":"00000000"}')
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_LONGEST_HEADER = 1 << 20
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


def encode_line(number: int, record: Mapping[str, Any]) -> bytes:
    """A record as the line with this number."""
    numbered = {"line": number, **record}
    body = json.dumps(numbered, ensure_ascii=False, separators=(",", ":")).encode()[:-1]
    return body + b',"crc":"%08x"}\n' % zlib.crc32(body)


class Reader:
    """Reads a log once, and again what it has gained since: another process may be writing it.

    Attributes:
        header: the record of the first line.
        count: of lines read so far, the header included.
        size: of these lines in bytes.
        torn: bytes after them, of a line that was not written completely.

    Raises:
        MissingInput: no such file.
        CorruptInput: the file is not a log, or its header is damaged.
        SchemaMismatch: a log of another version.
    """

    def __init__(self, path: Path):
        self._path = path
        with open_regular(path) as file:
            text = file.readline(_LONGEST_HEADER)
        if not text.endswith(b"\n"):
            raise CorruptInput("is not a log of tgl annotate", where=path, hint=_RESTORE)
        self.header = self._record(text[:-1], 1)
        self.count, self.size, self.torn = 1, len(text), 0
        if self.header.get("format") != FORMAT:
            raise CorruptInput("is not a log of tgl annotate", where=path, hint=_RESTORE)
        version = self.header.get("version")
        if version != VERSION:
            raise SchemaMismatch(f"log of version {version}, this tgl reads {VERSION}", where=path)

    def follow(self) -> Iterator[Line]:
        """Yield the lines that were not yet read.

        Raises:
            CorruptInput: a line before the last one is damaged.
        """
        with open_regular(self._path) as file:
            start = file.seek(self.size)
            data = file.read()
        for text, end in _complete_lines(data):
            number = self.count + 1
            try:
                record = self._record(text, number)
            except CorruptInput:
                if end < len(data):
                    raise
                break  # the last line: of its blocks, a power loss may keep only some
            self.count, self.size = number, start + end
            yield Line(number, record)
        self.torn = start + len(data) - self.size

    def _record(self, text: bytes, number: int) -> Mapping[str, Any]:
        """The record of a line; raises CorruptInput if it is damaged."""
        body, mark = text[:-_CHECKSUM_BYTES], _CHECKSUM.fullmatch(text[-_CHECKSUM_BYTES:])
        with suppress(ValueError, RecursionError):
            record = json.loads(body + b"}")
            intact = mark is not None and int(mark[1], 16) == zlib.crc32(body)
            if intact and isinstance(record, dict) and record.pop("line", None) == number:
                return record
        raise CorruptInput("is damaged", where=f"{self._path}, line {number}", hint=_RESTORE)


def _complete_lines(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Lines that end in a line feed, without it, and the place after it."""
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        yield data[start:end], end + 1
        start = end + 1


class Log:
    """A log that this process writes; its folder is locked by the caller.

    Args:
        path: of an existing log.
        read: its reader, which has read all of it; what is torn is cut off.
    """

    def __init__(self, path: Path, read: Reader):
        self._path = path
        self._count = read.count
        self._size = read.size
        self._failed = False
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        if read.torn:
            os.ftruncate(self._descriptor, self._size)
            os.fsync(self._descriptor)

    @classmethod
    def create(cls, path: Path, header: Mapping[str, Any]) -> Log:
        """Create a log that appears with its header or not at all."""
        line = encode_line(1, {"format": FORMAT, "version": VERSION, **header})
        write_bytes_atomic(path, line)
        sync_folder(path.parent)
        return cls(path, Reader(path))

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

"""Expected failures, each with its exit code.

A message says what is wrong, where (path, column, video, frame) and what to do. The command line
prints it as one line; a library user catches :class:`TglError`. Anything else is a bug and keeps
its traceback.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.printable import printable, printable_line

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_PLACE = 400
"""Characters shown of the place of a failure."""


class TglError(Exception):
    """Base of all expected failures; its text is one line that any terminal can show.

    Args:
        message: what is wrong, as one line without a final full stop.
        where: the path, column, video or frame it was found at.
        hint: what the user can do about it.

    Attributes:
        path: `where` as a path, if a path was given.
    """

    exit_code = 1
    where: str | None
    path: Path | None

    def __init__(self, message: str, *, where: object | None = None, hint: str | None = None):
        self.message = printable_line(message)
        self.relocate(where)
        self.hint = None if hint is None else printable_line(hint)
        super().__init__(str(self))

    def relocate(self, where: object | None) -> None:
        """Name another place where the failure was met."""
        self.where = None if where is None else str(where)
        self.path = where if isinstance(where, Path) else None

    def __str__(self) -> str:
        place = f"{printable(self.where, _PLACE)}: " if self.where else ""
        advice = f"; {self.hint}" if self.hint else ""
        return f"{place}{self.message}{advice}"

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the trip from a worker process, keyword arguments included."""
        return _rebuild, (type(self), self.message, self.path or self.where, self.hint)


def _rebuild(kind: type[TglError], message: str, where: object, hint: str | None) -> TglError:
    return kind(message, where=where, hint=hint)


class ConfigError(TglError):
    """A setting is out of range, unknown, or contradicts another one."""

    exit_code = 2


class MissingInput(TglError):
    """A file, folder, row or program that was named does not exist."""

    exit_code = 3


class SchemaMismatch(TglError):
    """A table or document has other columns, types or another version than expected."""

    exit_code = 4


class CorruptInput(TglError):
    """A file is truncated, damaged, or contradicts what describes it."""

    exit_code = 5


class UnsafeName(CorruptInput):
    """A name from data leads out of the output folder or cannot be a file name."""


class OutputBlocked(TglError):
    """The output cannot be written: locked by another run, foreign, or the disk is full."""

    exit_code = 6


class DiskFull(OutputBlocked):
    """The disk is full."""


class IncompleteRun(TglError):
    """The run finished, but some inputs failed and were reported one by one."""

    exit_code = 7


class TrainingDiverged(TglError):
    """The loss is no longer finite."""

    exit_code = 8


class OutOfMemory(TglError):
    """The machine or its accelerator has not enough memory."""

    exit_code = 9


class LostWorker(TglError):
    """Worker processes died at one piece of work, more than once."""

    exit_code = 11


class SystemRefused(TglError):
    """The operating system refuses a file: no permission, a name too long, a read-only disk."""

    exit_code = 10


def disk_full(where: object) -> DiskFull:
    """The error for a full disk."""
    return DiskFull(
        "the disk is full",
        where=where,
        hint="free some space and run the same command again; finished work is kept",
    )


def says_disk_full(text: str) -> bool:
    """Return whether the message of a program or library says that the disk is full."""
    return any(os.strerror(code) in text for code in _DISK_FULL)


def _is_disk_full(error: BaseException | None) -> bool:
    """Return whether a full disk caused an error: torch hides the system's error in its own."""
    while error is not None:
        if says_disk_full(str(error)):
            return True
        error = error.__context__
    return False


@contextmanager
def system_errors(out: object | None = None) -> Iterator[None]:
    """Turn errors of the operating system in this context into expected failures.

    Args:
        out: the output, which is named if the system names no file.

    Raises:
        OutputBlocked: the disk is full.
        SystemRefused: any other error of the system about a file.
        OSError: raised by a library for an error of its own.
    """
    try:
        yield
    except DiskFull as error:
        if out is None:
            raise
        raise disk_full(out) from error  # not the temporary file that was being written
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise disk_full(out or error.filename) from error
        where = str(error.filename if isinstance(error.filename, str) else out or "")
        if error.errno is None or error.errno == errno.EPIPE or not where:
            raise
        reason = os.strerror(error.errno).lower()
        if error.errno == errno.EEXIST and Path(where).is_file():
            reason = "is a file, not a folder"
        raise SystemRefused(reason, where=where) from error
    except Exception as error:
        if isinstance(error, TglError) or not _is_disk_full(error):
            raise
        raise disk_full(out or "") from error

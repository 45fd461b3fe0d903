"""Opening input files: only regular ones, so that tgl never waits for a pipe, socket or device."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

from schemas.errors import CorruptInput, MissingInput, SystemRefused, TglError

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
"""Without O_NONBLOCK, opening a pipe waits until somebody writes to it."""
_BLOCK_BYTES = 1 << 20
_KINDS = {
    stat.S_IFDIR: "is a folder",
    stat.S_IFIFO: "is a pipe",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFCHR: "is a device",
    stat.S_IFBLK: "is a device",
}
_ABSENT = (errno.ENOENT, errno.ENOTDIR)
_NO_READER = (errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP)
"""Errors for a socket, and for a device without a driver."""


def open_regular(
    path: Path, *, missing: str = "no such file", hint: str | None = None
) -> BufferedReader:
    """Open a regular file for reading; links are followed.

    Args:
        missing: the message if there is no such file.
        hint: what to do then.

    Raises:
        MissingInput: no such file, or a broken link.
        CorruptInput: a folder, pipe, socket or device, or a link that leads back to itself.
        SystemRefused: the system does not let it be read.
    """
    descriptor, _ = _open(path, missing, hint)
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "rb")


def read_regular(
    path: Path | str, *, missing: str = "no such file", hint: str | None = None
) -> bytes:
    """Read a regular file, as fast as an unbuffered `open`.

    Args:
        path: text saves time where files are many.
        missing: the message if there is no such file.
        hint: what to do then.

    Raises:
        TglError: as :func:`open_regular`.
    """
    descriptor, size = _open(path, missing, hint)
    try:
        blocks = [os.read(descriptor, size + 1)]
        while blocks[-1] and len(blocks[0]) != size:  # else it ended where it should
            blocks.append(os.read(descriptor, _BLOCK_BYTES))
    except OSError as error:
        raise _refused(path, error, missing, hint) from error
    finally:
        os.close(descriptor)
    return b"".join(blocks)


def require_regular(path: Path, *, missing: str = "no such file", hint: str | None = None) -> Path:
    """Return `path` if it is a regular file, for libraries that open a file by its name.

    Raises:
        TglError: as :func:`open_regular`, except for missing permissions.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (frames are many, and this is half the time)
    except (OSError, ValueError) as error:
        raise _refused(path, error, missing, hint) from error
    if not stat.S_ISREG(mode):
        raise _irregular(path, mode)
    return path


def _open(path: Path | str, missing: str, hint: str | None) -> tuple[int, int]:
    """The descriptor of a regular file, and the file's size in bytes."""
    try:
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:
        raise _refused(path, error, missing, hint) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise _irregular(path, status.st_mode)
    return descriptor, status.st_size


def _irregular(path: Path | str, mode: int) -> CorruptInput:
    kind = _KINDS.get(stat.S_IFMT(mode), "is not a regular file")
    return CorruptInput(f"{kind}, a regular file is needed", where=path)


def _refused(
    name: Path | str, error: OSError | ValueError, missing: str, hint: str | None
) -> TglError:
    """The error for an error of the system when a file was opened or read."""
    path = Path(name)
    if not isinstance(error, OSError):
        return MissingInput("no file can have this name, it contains a NUL", where=repr(str(path)))
    if error.errno in _ABSENT:
        if path.is_symlink():
            return MissingInput(f"is a link to {os.readlink(path)}, which is gone", where=path)  # noqa: PTH115
        return MissingInput(missing, where=path, hint=hint)
    if error.errno == errno.ELOOP:
        return CorruptInput("is a link that leads back to itself", where=path)
    if error.errno in _NO_READER:
        return _irregular(path, path.stat().st_mode)
    return SystemRefused(os.strerror(error.errno or errno.EIO).lower(), where=path)

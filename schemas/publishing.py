"""Putting a finished folder in the place of an artifact: in one step where the system has one.

On Linux the two folders change places in a single call, so that a reader, or whoever looks after a
kill, finds the former artifact or the new one. Elsewhere two renames do it; a kill between them
leaves the former artifact under its retired name, and :func:`recover` puts it back.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache
from pathlib import Path

from schemas.directories import remove_tree

_CURRENT_FOLDER = -100  # AT_FDCWD: relative paths count from the working folder
_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


def publish(scratch: Path, out: Path) -> None:
    """Put a finished scratch folder in the place of `out`; what was there is removed."""
    retired = retired_path(out)
    if not out.exists():
        scratch.rename(out)
    elif exchange(scratch, out):
        _discard(scratch, out)  # it holds the former artifact now
    else:
        out.rename(retired)
        scratch.rename(out)
        _discard(retired, out)


def recover(out: Path) -> None:
    """Finish or undo a publication that was killed half-way; call it under the lock."""
    remove_tree(_discarded_path(out))
    retired = retired_path(out)
    if retired.exists():
        if out.exists():
            _discard(retired, out)
        else:
            retired.rename(out)


def has_leftovers(out: Path) -> bool:
    """Whether :func:`recover` has something to do."""
    return retired_path(out).exists() or _discarded_path(out).exists()


def exchange(first: Path, second: Path) -> bool:
    """Let two paths change places in one step.

    Returns:
        False where the system or the file system cannot; nothing has changed then.

    Raises:
        OSError: as a rename raises it.
    """
    rename = _renameat2()
    if rename is None:
        return False
    given = (_CURRENT_FOLDER, os.fsencode(first), _CURRENT_FOLDER, os.fsencode(second), _EXCHANGE)
    if rename(*given) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(first), None, str(second))


def retired_path(out: Path) -> Path:
    """Where :func:`publish` keeps the former artifact between two renames."""
    return out.with_name(f".{out.name}.retired")


def _discard(folder: Path, out: Path) -> None:
    """Remove a former artifact under a name from which nobody would take it for a whole one."""
    discarded = _discarded_path(out)
    remove_tree(discarded)
    folder.rename(discarded)
    remove_tree(discarded)


def _discarded_path(out: Path) -> Path:
    return out.with_name(f".{out.name}.discarded")


@cache
def _renameat2() -> ctypes._NamedFuncPointer | None:
    """The C library's function, None where it has none."""
    if not sys.platform.startswith("linux"):
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is not None:
        path, flags = ctypes.c_char_p, ctypes.c_uint
        function.argtypes = [ctypes.c_int, path, ctypes.c_int, path, flags]
    return function

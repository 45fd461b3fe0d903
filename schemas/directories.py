"""Folders as artifacts: what they hold, where they are made, who may write them.

An artifact's folder is made under a scratch name beside the final one and published when it is
complete. On Linux the two folders change places in a single call, so that a reader, or a look after
a kill, finds the former artifact or the new one. Elsewhere two renames do it; a kill between them
leaves the former artifact under its retired name, and :func:`recover` puts it back. Everything
below `.tgl/` belongs to the engine and is not part of the content.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from schemas.errors import OutputBlocked
from schemas.files import open_regular
from schemas.layouts import RECEIPT_FILE

ENGINE_FOLDER = ".tgl"
# A program of a run that was just killed may still write for so long.
_DYING_SECONDS = 3.0
_RETRY_SECONDS = 0.02
PARTIAL = "*.partial"
"""Names under which files are written before they are moved."""
_CURRENT_FOLDER = -100  # AT_FDCWD: relative paths count from the working folder
_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Listing:
    """The content of a folder: cheap to take again, exact enough to see what is gone.

    Attributes:
        files: number of files below the folder.
        bytes: their total size.
        names: SHA-256 over the sorted lines `relative path, size` of the files in subfolders.
        tables: SHA-256 of each file at the top of the folder (tables, weights, summaries).
    """

    files: int
    bytes: int
    names: str
    tables: dict[str, str] = field(default_factory=dict)


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's content."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def list_folder(folder: Path, *, digest: Callable[[Path], str] = sha256_file) -> Listing:
    """Take the listing of an artifact; the receipt and `.tgl/` are left out.

    Args:
        digest: of a file at the top of the folder.
    """
    nested = hashlib.sha256()
    tables: dict[str, str] = {}
    files = total = 0
    for relative, entry in walk(folder):
        size = _size(entry)
        files += 1
        total += size
        if "/" in relative:
            nested.update(f"{relative}\0{size}\n".encode("utf-8", "surrogateescape"))
        else:
            tables[relative] = digest(folder / relative)
    return Listing(files, total, nested.hexdigest(), tables)


def walk(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Files below `folder` as (posix relative path, entry), sorted, engine's files left out."""
    yield from _walk(folder, "")


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if not prefix and entry.name in (ENGINE_FOLDER, RECEIPT_FILE):
            continue
        if _is_folder(entry):
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads back to itself; whoever reads it will say so
        return False


def _size(entry: os.DirEntry[str]) -> int:
    """Bytes of a file; of a broken link its own."""
    try:
        return entry.stat().st_size
    except OSError:
        return entry.stat(follow_symlinks=False).st_size


def write_text_atomic(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old content or the new, never a part."""
    write_bytes_atomic(path, text.encode("utf-8"))


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """As :func:`write_text_atomic`, for bytes; synced to disk before the rename."""
    temporary = path.with_name(f".{path.name}.partial")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def scratch_path(out: Path, fingerprint: str) -> Path:
    """Where a run with this fingerprint works until it publishes to `out`."""
    return out.with_name(f".{out.name}.{fingerprint[:16]}.work")


def all_scratches(out: Path) -> list[Path]:
    """Scratch folders of runs to `out` that go on or were interrupted, sorted by name."""
    return sorted(out.parent.glob(f".{_escape(out.name)}.*.work"))


def remove_tree(path: Path) -> None:
    """Delete a folder that tgl made; nothing happens where there is none."""
    if path.is_symlink():
        path.unlink()
        return
    deadline = time.monotonic() + _DYING_SECONDS
    while path.exists():
        try:
            shutil.rmtree(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT) or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)


def lock_path(out: Path) -> Path:
    """The file that is locked while a run works on `out`; a kill leaves it there, unlocked."""
    return out.with_name(f".{out.name}.lock")


@contextmanager
def locked(out: Path, *, named: Path | None = None) -> Iterator[None]:
    """Hold `out` for this process; the lock goes with the process, however it ends.

    Args:
        named: `out` as the user named it, for messages.

    Raises:
        OutputBlocked: another run works on `out`.
    """
    path = lock_path(out)
    descriptor = _acquire(path, named or out)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path, named: Path) -> int:
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            error.filename = str(named)  # nobody knows the lock by name
            raise
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise OutputBlocked(
                "another tgl run is writing this", where=named, hint="wait for it, or stop it"
            ) from error
        # The last holder removes the file: a lock on a file that is gone protects nothing.
        try:
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)


def _escape(name: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)


def publish(scratch: Path, out: Path) -> None:
    """Put a finished scratch folder in the place of `out`; what was there is removed."""
    retired = retired_path(out)
    if not out.exists():
        scratch.rename(out)
    elif exchange(scratch, out):
        discard(scratch, out)  # it holds the former artifact now
    else:
        out.rename(retired)
        scratch.rename(out)
        discard(retired, out)


def recover(out: Path) -> None:
    """Finish or undo a publication that was killed half-way; call it under the lock."""
    remove_tree(_discarded_path(out))
    retired = retired_path(out)
    if retired.exists():
        if out.exists():
            discard(retired, out)
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


def discard(folder: Path, out: Path) -> None:
    """Remove a folder of `out` under a name from which nobody would take it for a whole one.

    A kill leaves nothing under the folder's own name; :func:`recover` removes the rest.
    """
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

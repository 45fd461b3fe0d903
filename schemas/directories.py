"""Folders as artifacts: their content, where they are made, and locks for writing them.

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
# How long a program of a run that was just killed may still write.
_DYING_SECONDS = 3.0
_RETRY_SECONDS = 0.02
PARTIAL = "*.partial"
"""Names under which files are written before they are moved."""
_CURRENT_FOLDER = -100  # AT_FDCWD: relative paths count from the working folder
_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Listing:
    """The content of a folder: cheap to compute, and exact enough to detect losses.

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
    """List the content of an artifact, without the receipt and `.tgl/`.

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
    """Yield files below `folder` as (posix relative path, entry), sorted, without the engine's."""
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
    except OSError:  # a link that leads back to itself, which its readers will report
        return False


def _size(entry: os.DirEntry[str]) -> int:
    """Bytes of a file, or of a broken link itself."""
    try:
        return entry.stat().st_size
    except OSError:
        return entry.stat(follow_symlinks=False).st_size


def write_text_atomic(path: Path, text: str) -> None:
    """Write a text file so that readers see the old content or the new, never a part."""
    write_bytes_atomic(path, text.encode("utf-8"))


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Write a file as :func:`write_text_atomic` does; synced to disk before the rename."""
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename is None:  # the system names a file when it is opened, not when written
            error.filename = str(path)
        raise


def scratch_path(out: Path, fingerprint: str) -> Path:
    """The folder in which a run with this fingerprint works until it publishes to `out`."""
    return out.with_name(f".{out.name}.{fingerprint[:16]}.work")


def all_scratches(out: Path) -> list[Path]:
    """Scratch folders of running and interrupted runs to `out`, sorted by name."""
    return sorted(out.parent.glob(f".{_escape(out.name)}.*.work"))


def remove_tree(path: Path) -> None:
    """Delete a folder that tgl made, if it exists."""
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
    """The file that is locked while a run writes `out`; a kill leaves it unlocked."""
    return out.with_name(f".{out.name}.lock")


@contextmanager
def locked(out: Path, *, named: Path | None = None) -> Iterator[None]:
    """Lock `out` for this process; the lock ends with the process in any case.

    Args:
        named: `out` as the user named it, for messages.

    Raises:
        OutputBlocked: another run is writing `out`.
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
            error.filename = str(named)  # users do not know the lock
            raise
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise OutputBlocked(
                "another tgl run is writing this", where=named, hint="wait for it, or stop it"
            ) from error
        # The last holder removes the file, and a lock on a removed file protects nothing.
        try:
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)


def _escape(name: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)


def publish(scratch: Path, out: Path) -> None:
    """Replace `out` with a finished scratch folder, and remove the former artifact."""
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
    """Finish or undo a publication that was killed; call it under the lock."""
    remove_tree(_discarded_path(out))
    retired = retired_path(out)
    if retired.exists():
        if out.exists():
            discard(retired, out)
        else:
            retired.rename(out)


def has_leftovers(out: Path) -> bool:
    """Return whether :func:`recover` has something to do."""
    return retired_path(out).exists() or _discarded_path(out).exists()


def exchange(first: Path, second: Path) -> bool:
    """Exchange two paths in one step.

    Returns:
        False if the system or the file system cannot do it, without any change.

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
    """The path of the former artifact between the two renames of :func:`publish`."""
    return out.with_name(f".{out.name}.retired")


def discard(folder: Path, out: Path) -> None:
    """Remove a folder of `out`, renamed first so that nothing takes a part for the whole.

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
    """The C library's function, None if it is missing."""
    if not sys.platform.startswith("linux"):
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is not None:
        path, flags = ctypes.c_char_p, ctypes.c_uint
        function.argtypes = [ctypes.c_int, path, ctypes.c_int, path, flags]
    return function

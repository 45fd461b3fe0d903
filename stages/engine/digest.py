"""Digests of inputs: what must be the same for an artifact to be up to date."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from schemas.directories import list_folder, sha256_file, walk
from schemas.errors import MissingInput
from schemas.receipts import canonical_json

_SETTLED_NS = 1_000_000_000
"""A file that was changed later than this ago may change again without new times."""


def text_digest(text: str) -> str:
    """Hex SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def file_digest(path: Path) -> str:
    """Hex SHA-256 of a file's content; a table made anew with equal rows keeps its digest.

    Raises:
        MissingInput: no such file.
    """
    if not path.is_file():
        raise MissingInput("no such file", where=path)
    return _content_digest(path)


def _content_digest(path: Path) -> str:
    """Of a table its content, of any other file its bytes."""
    if path.suffix != ".parquet":
        return known_sha256(path)
    from schemas.parquet import content_digest  # settings import this module, and stay light

    return content_digest(path)


def known_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, computed once per run while the file stays as it is."""
    status = path.stat()
    if abs(time.time_ns() - status.st_ctime_ns) < _SETTLED_NS:
        return sha256_file(path)
    return _sha256_of_state(
        path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


@lru_cache(maxsize=256)
def _sha256_of_state(path: Path, *_state: int) -> str:
    return sha256_file(path)


def artifact_digest(folder: Path) -> str:
    """Digest of a folder that a stage wrote: its tables by content, its pictures by size.

    The receipt is not trusted: a file that was replaced by hand changes the digest.

    Raises:
        MissingInput: no such folder.
    """
    listing = list_folder(require_folder(folder), digest=_content_digest)
    return text_digest(canonical_json([listing.names, sorted(listing.tables.items())]))


def tree_digest(folder: Path) -> str:
    """Digest of a foreign folder by names, sizes and times of change, without reading files.

    Raises:
        MissingInput: no such folder.
    """
    digest = hashlib.sha256()
    for relative, entry in walk(require_folder(folder)):
        status = entry.stat()
        line = f"{relative}\0{status.st_size}\0{status.st_mtime_ns}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def require_files(folder: Path, names: Iterable[str], *, what: str, hint: str) -> None:
    """Raise MissingInput, naming the first file of `names` that `folder` lacks as a `what`."""
    for name in names:
        if not (folder / name).is_file():
            raise MissingInput(f"is no {what}, it lacks {name}", where=folder, hint=hint)


def require_folder(folder: Path) -> Path:
    """`folder`, if it is one.

    Raises:
        MissingInput: it is not there, or a file.
    """
    if not folder.is_dir():
        reason = "is a file, a folder is needed" if folder.exists() else "no such folder"
        raise MissingInput(reason, where=folder)
    return folder

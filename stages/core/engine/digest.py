"""Digests of inputs, which must be unchanged for an artifact to be up to date."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from schemas.directories import list_folder, sha256_file, walk
from schemas.errors import MissingInput
from schemas.layouts import CHECKPOINT_CONFIG, WEIGHTS_FILE
from schemas.receipts import canonical_json

_GRAIN_SECONDS = 0.012
"""Longer than a tick of the kernel's clock for times of files (at most 10 ms)."""

_CHECKPOINT_FILES = (CHECKPOINT_CONFIG, WEIGHTS_FILE)
_MODEL_SUFFIXES = (".json", ".safetensors")

_SETTLED_NS = 1_000_000_000
"""A file that was changed less than this ago may change again and keep its times."""


def text_digest(text: str) -> str:
    """Hex SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def file_digest(path: Path) -> str:
    """Hex SHA-256 of a file's content; a table that is rewritten with equal rows keeps its digest.

    Raises:
        MissingInput: no such file.
    """
    if not path.is_file():
        raise MissingInput("no such file", where=path)
    return _content_digest(path)


def _content_digest(path: Path) -> str:
    """The digest of a table's content, or of any other file's bytes."""
    if path.suffix != ".parquet":
        return known_sha256(path)
    from schemas.parquet import content_digest  # settings import this module, and stay light

    return content_digest(path)


def known_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, cached until the file changes."""
    status = path.stat()
    if abs(time.time_ns() - status.st_ctime_ns) < _SETTLED_NS:
        return sha256_file(path)
    return _sha256_of_state(
        path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )


@lru_cache(maxsize=100_000)
def _sha256_of_state(path: Path, *_state: int) -> str:
    return sha256_file(path)


def artifact_digest(folder: Path) -> str:
    """Digest of a folder that a stage wrote: its tables by content, its other files by size.

    The receipt is not trusted: a file that was replaced by hand changes the digest.

    Raises:
        MissingInput: no such folder.
    """
    listing = list_folder(require_folder(folder), digest=_content_digest)
    return text_digest(canonical_json([listing.names, sorted(listing.tables.items())]))


def tree_digest(folder: Path) -> str:
    """Digest of a foreign folder by names, sizes, times and inodes, without reading files.

    Raises:
        MissingInput: no such folder.
    """
    digest = hashlib.sha256()
    for relative, entry in walk(require_folder(folder)):
        line = f"{relative}\0{state_text(entry.stat())}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    settle()
    return digest.hexdigest()


def weights_digest(folder: Path) -> str:
    """Digest of a model by the contents of its JSON and safetensors files.

    A model that is installed again or copied elsewhere keeps its digest.

    Raises:
        MissingInput: no such folder.
    """
    names = sorted(p.name for p in require_folder(folder).iterdir() if p.suffix in _MODEL_SUFFIXES)
    digests = [[name, file_digest(folder / name)] for name in names]
    return text_digest(canonical_json(digests))


def checkpoint_digest(folder: Path) -> str:
    """Digest of a checkpoint by the content of its two files.

    Raises:
        MissingInput: no such folder, or one of them is missing.
    """
    require_checkpoint(folder)
    return text_digest(" ".join(file_digest(folder / name) for name in _CHECKPOINT_FILES))


def require_checkpoint(folder: Path) -> None:
    """Check that a folder has the files of a checkpoint.

    Raises:
        MissingInput: no such folder, or one of them is missing.
    """
    hint = "make one with tgl train"
    if not folder.is_dir():
        raise MissingInput("no such checkpoint", where=folder, hint=hint)
    require_files(folder, _CHECKPOINT_FILES, what="checkpoint", hint=hint)


def state_text(status: os.stat_result) -> str:
    """Size, time and inode of a file, which change when it is replaced or written."""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"


def settle() -> None:
    """Wait until the next change of any file gives it a new time.

    Clocks of file systems tick every few milliseconds: without a pause, a file could be written
    right before and right after its digest is taken, with the same size and time.
    """
    time.sleep(_GRAIN_SECONDS)


def require_files(folder: Path, names: Iterable[str], *, what: str, hint: str) -> None:
    """Raise MissingInput if `folder` lacks one of the files `names` of a `what`."""
    for name in names:
        if not (folder / name).is_file():
            article = "an" if what.startswith(tuple("aeiou")) else "a"
            raise MissingInput(f"is not {article} {what}, it lacks {name}", where=folder, hint=hint)


def require_folder(folder: Path) -> Path:
    """`folder`, if it is one.

    Raises:
        MissingInput: it does not exist, or is a file.
    """
    if not folder.is_dir():
        if folder.exists():
            reason = "is a file, a folder is needed"
        else:
            named_as_file = folder.suffix[1:].isalpha()
            reason = "does not exist, and a folder is needed" if named_as_file else "no such folder"
        raise MissingInput(reason, where=folder)
    return folder

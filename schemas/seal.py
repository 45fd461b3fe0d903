"""The seal of a Parquet file: the SHA-256 of its pages and of its footer.

Pages carry Parquet's own checksums; their headers and the footer have none. The seal lies just
before the footer, where other readers, who find everything by offsets, never look.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from schemas.errors import CorruptInput

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

_MAGIC = b"PAR1"
_LENGTH_BYTES = 4
"""A Parquet file ends with its footer, the footer's length (little-endian) and the magic bytes."""
_TAIL_BYTES = _LENGTH_BYTES + len(_MAGIC)
_SEAL = b"tgl.seal:sha256:"
_DIGEST_BYTES = hashlib.sha256().digest_size
_SEAL_BYTES = len(_SEAL) + 2 * _DIGEST_BYTES
_BLOCK_BYTES = 1 << 20


class ParquetParts(NamedTuple):
    """A Parquet file taken apart.

    Attributes:
        size: bytes of the pages, which begin the file.
        pages: their SHA-256 as the seal has it; None without a seal.
    """

    size: int
    pages: bytes | None
    footer: bytes


def seal_file(path: Path) -> None:
    """Write the SHA-256 of a file's pages and of its footer before the footer."""
    with path.open("r+b") as file:
        parts = split_file(file, path)
        pages = digest_pages(file, parts.size)
        file.seek(parts.size)
        file.write(_SEAL + pages + hashlib.sha256(parts.footer).digest() + parts.footer)
        file.write(len(parts.footer).to_bytes(_LENGTH_BYTES, "little") + _MAGIC)


def split_file(file: BinaryIO, path: Path) -> ParquetParts:
    """Find the parts of a file, and compare its footer with its seal if it has one.

    Raises:
        CorruptInput: the footer is not the one that was written.
    """
    size = file.seek(0, os.SEEK_END)
    footer = _footer_bytes(file, size)
    size = max(0, size - _TAIL_BYTES - len(footer))
    file.seek(max(0, size - _SEAL_BYTES))
    seal = file.read(_SEAL_BYTES)
    if not footer or not seal.startswith(_SEAL):
        return ParquetParts(size, None, footer)
    if seal[-_DIGEST_BYTES:] != hashlib.sha256(footer).digest():
        raise damaged(path, "its footer is not the one that was written")
    return ParquetParts(size - _SEAL_BYTES, seal[len(_SEAL) : -_DIGEST_BYTES], footer)


def checked_pages(file: BinaryIO, parts: ParquetParts, path: Path) -> bytes:
    """The SHA-256 of the pages, compared with the seal.

    Raises:
        CorruptInput: the pages are not those that were written.
    """
    found = digest_pages(file, parts.size)
    if found != parts.pages:
        raise damaged(path, "its pages are not those that were written")
    return found


def digest_pages(file: BinaryIO, size: int, digest: Hash | None = None) -> bytes:
    """SHA-256 of the data that `digest` has taken in and of the first `size` bytes of a file."""
    digest = digest or hashlib.sha256()
    file.seek(0)
    while size and (block := file.read(min(size, _BLOCK_BYTES))):
        digest.update(block)
        size -= len(block)
    return digest.digest()


def _footer_bytes(file: BinaryIO, size: int) -> bytes:
    """The footer of a Parquet file, empty where there is none."""
    if size < _TAIL_BYTES:
        return b""
    file.seek(size - _TAIL_BYTES)
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if file.read() != _MAGIC or length > size - _TAIL_BYTES:
        return b""
    file.seek(size - _TAIL_BYTES - length)
    return file.read(length)


def damaged(path: Path, cause: Exception | str) -> CorruptInput:
    """The error for a Parquet file that cannot be read."""
    reason = str(cause).splitlines()[0].rstrip(".") if str(cause) else type(cause).__name__
    size = path.stat().st_size if path.exists() else 0
    return CorruptInput(
        f"cannot be read as Parquet ({reason}; {size} bytes)",
        where=path,
        hint="copy it again or rebuild it",
    )

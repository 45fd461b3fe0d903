"""Chunks of PNG files and their checksums.

Reference for the file format: the PNG specification, https://www.w3.org/TR/png-3/.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from schemas.errors import CorruptInput

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FRAMING = 12  # bytes of a chunk beside its body: length, kind and checksum
_ANCILLARY = 0x20
_LAST = b"IEND"


class PngChunk(NamedTuple):
    """A chunk of a PNG file.

    Attributes:
        kind: four letters.
        start, end: positions of its first byte and of the one after its last.
        intact: whether its checksum is right.
    """

    kind: bytes
    start: int
    end: int
    intact: bool

    @property
    def body(self) -> slice:
        """Positions of its data."""
        return slice(self.start + 8, self.end - 4)

    @property
    def ancillary(self) -> bool:
        """Whether a decoder may ignore it."""
        return bool(self.kind[0] & _ANCILLARY)

    def damage(self, where: object) -> CorruptInput:
        """Make the error of a chunk that is not intact."""
        return CorruptInput(f"has a damaged {self.kind.decode('latin-1')!r} chunk", where=where)


def png_chunks(content: bytes, where: object | None) -> Iterator[PngChunk]:
    """Yield the chunks of a PNG file in order, up to its end mark.

    Raises:
        CorruptInput: not a PNG file, or truncated.
    """
    if not content.startswith(PNG_SIGNATURE):
        raise CorruptInput("is not a PNG file", where=where)
    view = memoryview(content)
    start, kind = len(PNG_SIGNATURE), b""
    while kind != _LAST:
        if start + _FRAMING > len(content):
            raise CorruptInput("is a truncated PNG file", where=where)
        length, kind = struct.unpack_from(">I4s", content, start)
        end = start + _FRAMING + length
        if end > len(content):
            raise CorruptInput("is a truncated PNG file", where=where)
        (expected,) = struct.unpack_from(">I", content, end - 4)
        yield PngChunk(kind, start, end, zlib.crc32(view[start + 4 : end - 4]) == expected)
        start = end


def checked_png(content: bytes, *, where: object | None = None) -> bytes:
    """Return a PNG file without its ancillary chunks, if the checksums of all chunks are right.

    Pillow checks few of them, and unpacks texts and colour profiles, however large.

    Raises:
        CorruptInput: not a PNG file, truncated, or a chunk is damaged.
    """
    kept = [PNG_SIGNATURE]
    for chunk in png_chunks(content, where):
        if not chunk.intact:
            raise chunk.damage(where)
        if not chunk.ancillary:
            kept.append(content[chunk.start : chunk.end])
    return b"".join(kept)

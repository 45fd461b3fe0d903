"""Mask images, the form in which predictions travel: one channel, 0 or 255.

Reference for the file format: the PNG specification, https://www.w3.org/TR/png-3/.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from schemas.errors import CorruptInput

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
FOREGROUND = 255
_CHUNK_FRAME = 12  # bytes of a chunk beside its body: length, kind and checksum
_ANCILLARY = 0x20
FAST_COMPRESSION = 1
"""zlib level: masks are mostly runs, which the fastest level packs nearly as small as others."""


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write a mask as an 8-bit greyscale PNG of 0 and 255; its folder exists.

    Args:
        mask: (H, W), foreground wherever it is not 0.
    """
    if mask.ndim != 2 or 0 in mask.shape:
        raise ValueError(f"a mask has shape {mask.shape}, expected (H, W)")
    pixels = np.where(mask != 0, np.uint8(FOREGROUND), np.uint8(0))
    Image.fromarray(pixels).save(path, "PNG", compress_level=FAST_COMPRESSION)


def sound_png(content: bytes, *, where: object | None = None) -> bytes:
    """A PNG file without its ancillary chunks, after the checksum of every chunk was compared.

    Pillow compares few of them, and unpacks texts and colour profiles, however large.

    Raises:
        CorruptInput: not a PNG, cut off, or a chunk is not as it was written.
    """
    if not content.startswith(PNG_SIGNATURE):
        raise CorruptInput("is not a PNG", where=where)
    kept = [PNG_SIGNATURE]
    position = len(PNG_SIGNATURE)
    kind = b""
    while kind != b"IEND":
        if position + _CHUNK_FRAME > len(content):
            raise CorruptInput("cannot be decoded (it is cut off)", where=where)
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + _CHUNK_FRAME + length
        if end > len(content):
            raise CorruptInput("cannot be decoded (it is cut off)", where=where)
        (expected,) = struct.unpack_from(">I", content, end - 4)
        if zlib.crc32(content[position + 4 : end - 4]) != expected:
            name = kind.decode("latin-1")
            raise CorruptInput(f"cannot be decoded (its chunk {name!r} is damaged)", where=where)
        if not kind[0] & _ANCILLARY:
            kept.append(content[position:end])
        position = end
    return b"".join(kept)

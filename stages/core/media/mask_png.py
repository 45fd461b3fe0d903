"""Writing masks as PNG: one 8-bit channel, 0 and 255.

There are two encoders, and they are not interchangeable: their files differ in bytes, and artifacts
of both exist.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stages.core.media.mask_bits import PIXELS_PER_BYTE, MaskBits, pack_mask
from stages.core.media.png_checks import PNG_SIGNATURE

_compressor: Callable[..., Any] = zlib.compressobj
_adler32: Callable[..., int] = zlib.adler32
try:  # finds runs eight times faster than the standard library's zlib, to the same bytes
    from zlib_ng import zlib_ng
except ImportError:
    pass
else:
    _compressor, _adler32 = zlib_ng.compressobj, zlib_ng.adler32

FOREGROUND = 255
_LEVEL = 1
"""zlib level: masks are long runs, which the fastest level packs nearly as small as others."""
_DEPTH, _GREYSCALE = 8, 0
_CACHED_SIZES = 64
_CACHED_PIECES = 8192
_ZLIB_HEADER = b"\x78\x01"
_LAST_BLOCK = b"\x03\x00"
"""An empty block of fixed codes, marked as the last one."""
_ADLER_MODULUS = 65521


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write a mask through Pillow, in an existing folder.

    Args:
        mask: (H, W), foreground wherever it is not 0.
    """
    if mask.ndim != 2 or 0 in mask.shape:
        raise ValueError(f"a mask has shape {mask.shape}, expected (H, W)")
    pixels = np.where(mask != 0, np.uint8(FOREGROUND), np.uint8(0))
    Image.fromarray(pixels).save(path, "PNG", compress_level=_LEVEL)


def encode_mask(mask: np.ndarray) -> bytes:
    """Encode a mask as a PNG file, fast; see :func:`encode_bits`.

    Args:
        mask: (H, W) bool.
    """
    return encode_bits(pack_mask(mask), mask.shape[1])


def encode_bits(bits: MaskBits, width: int) -> bytes:
    """Encode a packed mask as a PNG file, fast: equal masks give equal files on every machine.

    Servers take one byte per pixel, so bits alone will not do. But only the rows and columns that
    hold the mask are unpacked, each row has filter 0, and zlib looks for runs alone (``Z_RLE``),
    which masks consist of: files are smaller than by its fast levels, and there is no choice of
    matches, in which versions of zlib differ. Rows above and below the mask are packed once.

    Args:
        bits: uint8 (H, ceil(W / 8)).
        width: W.
    """
    height = len(bits)
    used = np.flatnonzero(np.bitwise_or.reduce(bits, axis=1))
    if not len(used):
        return _empty_file(height, width)
    first, end = int(used[0]), int(used[-1]) + 1
    data = _zlib_stream(first, _scanlines(bits[first:end], width), height - end)
    return _file(height, width, data)


@lru_cache(maxsize=_CACHED_SIZES)
def _empty_file(height: int, width: int) -> bytes:
    return _file(height, width, deflate_runs(np.zeros((height, 1 + width), np.uint8)))


def _scanlines(bits: MaskBits, width: int) -> np.ndarray:
    """Rows of a PNG, uint8 (H, 1 + W): the filter, 0, then the pixels."""
    lines = np.zeros((len(bits), 1 + width), np.uint8)
    used = np.flatnonzero(np.bitwise_or.reduce(bits, axis=0))
    first, last = int(used[0]), int(used[-1]) + 1  # columns of bytes
    start, end = first * PIXELS_PER_BYTE, min(last * PIXELS_PER_BYTE, width)
    pixels = np.unpackbits(bits[:, first:last], axis=1, count=end - start)
    np.multiply(pixels, FOREGROUND, out=lines[:, 1 + start : 1 + end], casting="unsafe")
    return lines


def _zlib_stream(above: int, lines: np.ndarray, below: int) -> bytes:
    """Rows of a PNG between rows of zeros, as one zlib stream (RFC 1950).

    A full flush ends a piece at a byte and makes the next one independent of it.

    Args:
        above, below: rows of zeros.
        lines: uint8 (H, 1 + W).
    """
    stride = lines.shape[1]
    packer = _compressor(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    middle = packer.compress(lines.data) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = _adler_of_zeros(zlib.adler32(b""), above * stride)
    checksum = _adler_of_zeros(_adler32(lines.data, checksum), below * stride)
    pieces = _ZLIB_HEADER, _zeros(above * stride), middle, _zeros(below * stride), _LAST_BLOCK
    return b"".join(pieces) + struct.pack(">I", checksum)


@lru_cache(maxsize=_CACHED_PIECES)
def _zeros(count: int) -> bytes:
    """Zeros, deflated and flushed."""
    packer = _compressor(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    return bytes(packer.compress(bytes(count)) + packer.flush(zlib.Z_FULL_FLUSH))


def _adler_of_zeros(checksum: int, count: int) -> int:
    """Adler-32 after further zeros: the sum of bytes stays, and is added once for each of them."""
    total, sums = checksum & 0xFFFF, checksum >> 16
    return (sums + count * total) % _ADLER_MODULUS << 16 | total


def _file(height: int, width: int, data: bytes) -> bytes:
    """A PNG file of a zlib stream of its rows."""
    header = struct.pack(">IIBBBBB", width, height, _DEPTH, _GREYSCALE, 0, 0, 0)
    return PNG_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def deflate_runs(data: np.ndarray) -> bytes:
    """Deflate contiguous bytes that are mostly long runs; ``zlib.decompress`` inflates them."""
    packer = _compressor(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    return packer.compress(data.data) + packer.flush()


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

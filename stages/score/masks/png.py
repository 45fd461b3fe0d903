"""PNG masks to packed masks, with the result of OpenCV's greyscale decode but much faster.

A pixel is foreground if `cv2.imread(path, cv2.IMREAD_GRAYSCALE)` is not 0, for every colour type,
bit depth and interlacing: 16-bit samples lose their low byte, colours are converted to luma and
truncated (so a very dark colour is background), alpha and transparency are ignored.
Reference for the file format: the PNG specification, https://www.w3.org/TR/png-3/.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from schemas.errors import CorruptInput
from schemas.files import read_regular
from stages.core.media.png_checks import PNG_SIGNATURE, png_chunks
from stages.score.masks.packed_masks import WORD, PackedMask, pack, words_in
from stages.score.masks.png_luma import has_luma

_decompressor: Callable[[], Any] = zlib.decompressobj
_adler32: Callable[[bytes], int] = zlib.adler32
_INFLATE_ERRORS: tuple[type[Exception], ...] = (zlib.error,)
try:  # inflates masks many times faster than the standard library's zlib, to the same bytes
    from zlib_ng import zlib_ng
except ImportError:
    pass
else:
    _decompressor, _adler32 = zlib_ng.decompressobj, zlib_ng.adler32
    _INFLATE_ERRORS = (zlib.error, zlib_ng.error)  # type: ignore[assignment]

_GREYSCALE, _TRUECOLOUR, _PALETTE, _GREYSCALE_ALPHA, _TRUECOLOUR_ALPHA = 0, 2, 3, 4, 6
_CHANNELS = {_GREYSCALE: 1, _TRUECOLOUR: 3, _PALETTE: 1, _GREYSCALE_ALPHA: 2, _TRUECOLOUR_ALPHA: 4}
_DEPTHS = {
    _GREYSCALE: (1, 2, 4, 8, 16),
    _TRUECOLOUR: (8, 16),
    _PALETTE: (1, 2, 4, 8),
    _GREYSCALE_ALPHA: (8, 16),
    _TRUECOLOUR_ALPHA: (8, 16),
}
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_LARGEST_SIDE = 1 << 16
_LARGEST_AREA = 1 << 28
_STORED_BLOCK = 0xFFFF
_SRGB_GAMMA = 45455
_BYTE = 8
_PLAIN = struct.Struct(">16s II 5s I I4s")  # to the first sample, with the header's checksum
_PLAIN_START = PNG_SIGNATURE + struct.pack(">I4s", 13, b"IHDR")
_PLAIN_SHAPE = bytes((_BYTE, _GREYSCALE, 0, 0, 0))  # depth, kind, and no interlacing
_PLAIN_END = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))
_CRC_OF_IDAT = zlib.crc32(b"IDAT")
_CHECKSUM = 4  # bytes
_VALUES = 256
_ALL_BUT_0 = np.arange(_VALUES) > 0  # bool (256,)


class PngFile(NamedTuple):
    """A parsed PNG file.

    Attributes:
        depth: bits per sample.
        kind: PNG colour type (0 greyscale, 2 truecolour, 3 palette, 4 and 6 the first two with
            alpha).
        palette: uint8 (entries, 3), if the kind is palette.
        gamma: of the file times 100,000, if it has one.
        data: the deflated samples.
    """

    path: Path | str
    width: int
    height: int
    depth: int
    kind: int
    interlaced: bool
    palette: np.ndarray | None
    gamma: int | None
    data: bytes


def read_mask(path: Path | str, size: tuple[int, int] | None = None) -> PackedMask:
    """Read the foreground of a PNG file.

    Args:
        size: (H, W) that it must have; None accepts any.

    Raises:
        MissingInput: no such file.
        WrongSize: it has another size.
        CorruptInput: it cannot be read.
    """
    png = open_png(path)
    if size is not None and (png.height, png.width) != size:
        raise WrongSize(
            f"is {png.width}x{png.height}, the ground truth {size[1]}x{size[0]}", where=path
        )
    return foreground(png)


class WrongSize(CorruptInput):
    """A mask that does not have the size of its frame."""


def open_png(path: Path | str) -> PngFile:
    """Read the chunks of a file and check their checksums."""
    content = read_regular(path)
    plain = _plain_file(path, content)
    if plain is not None:
        return plain
    chunks: dict[bytes, list[bytes]] = {}
    for chunk in png_chunks(content, path):
        if not (chunk.intact or chunk.ancillary):
            raise chunk.damage(path)
        chunks.setdefault(chunk.kind, []).append(content[chunk.body])
    try:
        return _assemble(path, chunks)
    except (struct.error, ValueError) as error:
        raise CorruptInput(f"is a damaged PNG file ({error})", where=path) from error


def _plain_file(path: Path | str, content: bytes) -> PngFile | None:
    """Return a file of three intact chunks that nothing has to be interpreted in; None for others.

    Nearly all masks are: 8-bit greyscale without interlacing, and all samples in one chunk.
    """
    if len(content) < _PLAIN.size + len(_PLAIN_END):
        return None
    start, width, height, shape, checksum, length, kind = _PLAIN.unpack_from(content)
    end = _PLAIN.size + length
    plain = start == _PLAIN_START and shape == _PLAIN_SHAPE and kind == b"IDAT"
    if not plain or content[end + _CHECKSUM :] != _PLAIN_END or not _possible(width, height):
        return None
    data = content[_PLAIN.size : end]
    found = int.from_bytes(content[end : end + _CHECKSUM], "big")
    if zlib.crc32(content[12:29]) != checksum or zlib.crc32(data, _CRC_OF_IDAT) != found:
        return None
    return PngFile(path, width, height, _BYTE, _GREYSCALE, False, None, None, data)


def _possible(width: int, height: int) -> bool:
    side = max(width, height)
    return min(width, height) > 0 and side <= _LARGEST_SIDE and width * height <= _LARGEST_AREA


def _assemble(path: Path | str, chunks: dict[bytes, list[bytes]]) -> PngFile:
    if b"IHDR" not in chunks or b"IDAT" not in chunks:
        raise CorruptInput("is a PNG file without an image", where=path)
    header = struct.unpack(">IIBBBBB", chunks[b"IHDR"][0])
    width, height, depth, kind, compression, filtering, interlacing = header
    known = kind in _DEPTHS and depth in _DEPTHS[kind] and interlacing in (0, 1)
    if not known or compression or filtering:
        raise CorruptInput(f"has an invalid PNG header {header}", where=path)
    if not _possible(width, height):
        raise CorruptInput(f"has an impossible size, {width}x{height}", where=path)
    palette = None
    if kind == _PALETTE:
        if b"PLTE" not in chunks:
            raise CorruptInput("is a palette PNG without a palette", where=path)
        palette = np.frombuffer(chunks[b"PLTE"][0], np.uint8).reshape(-1, 3)
    gamma = None
    if b"sRGB" in chunks:
        gamma = _SRGB_GAMMA
    elif b"gAMA" in chunks:
        (gamma,) = struct.unpack(">I", chunks[b"gAMA"][0])
    data = b"".join(chunks[b"IDAT"])
    return PngFile(path, width, height, depth, kind, bool(interlacing), palette, gamma, data)


def foreground(png: PngFile) -> PackedMask:
    """Pack the pixels that are not 0 in OpenCV's greyscale decode.

    Raises:
        CorruptInput: the samples cannot be inflated or are too few.
    """
    raw = _inflate(png)
    if not _is_plain(png):
        return pack(_dense(png, raw))
    from stages.score.masks.compiled import LOOPS, address  # for workers: stages.score.worker

    mask = PackedMask(np.empty((png.height, words_in(png.width)), np.uint64), png.width)
    values, work = _foreground_values(png), address(_room(mask.words.shape[1]))
    known = LOOPS["unfilter_and_pack"](
        *(raw, raw, png.height, png.width), address(values), address(mask.words), work, work
    )
    if not known:
        raise CorruptInput("has an unknown row filter", where=png.path)
    return mask


@lru_cache(maxsize=4)
def _room(words: int) -> np.ndarray:
    """Make the memory in which two rows are unfiltered; the loop keeps the interpreter's lock."""
    return np.zeros(2 * words * WORD, np.uint8)


def read_labels(path: Path | str) -> np.ndarray:
    """Read a greyscale or palette PNG of up to 8 bits as object numbers, uint8 (H, W).

    Raises:
        MissingInput: no such file.
        CorruptInput: it cannot be read, or has colours instead of numbers.
    """
    png = open_png(path)
    if png.kind not in (_GREYSCALE, _PALETTE) or png.depth > _BYTE:
        raise CorruptInput(
            "has colours, object numbers are needed",
            where=path,
            hint="save it as a palette or an 8-bit greyscale PNG",
        )
    return _samples(png, _inflate(png))


def _is_plain(png: PngFile) -> bool:
    """Return whether each pixel is one byte and rows are in order."""
    one_channel = png.kind in (_GREYSCALE, _PALETTE)
    return one_channel and png.depth == _BYTE and not png.interlaced


def _foreground_values(png: PngFile) -> np.ndarray:
    """Return which of 256 sample values are foreground, bool (256,)."""
    if png.palette is None:
        return _ALL_BUT_0
    values = np.zeros(_VALUES, bool)
    entries = png.palette[:_VALUES]
    values[: len(entries)] = has_luma(entries, png.gamma)
    return values


def _dense(png: PngFile, raw: bytes) -> np.ndarray:
    """Return the foreground as bool (H, W)."""
    if png.kind == _PALETTE:
        return _foreground_values(png)[_samples(png, raw)]
    if png.kind == _GREYSCALE:
        return _samples(png, raw) != 0
    if png.kind == _GREYSCALE_ALPHA:
        # Two samples of two bytes are read as four of one; the first is the luma's high byte.
        mode = "LA" if png.depth == _BYTE else "RGBA"
        return _decode(png, raw, mode, mode)[..., 0] != 0
    mode = "RGB" if png.kind == _TRUECOLOUR else "RGBA"
    if png.depth == _BYTE:
        colours = _decode(png, raw, mode, mode)[..., :3]
    else:
        high = _decode(png, raw, mode, f"{mode};16B")[..., :3]
        low = _decode(png, raw, mode, f"{mode};16L")[..., :3]  # the other byte of each sample
        colours = (high.astype(np.uint16) << _BYTE) | low
    return has_luma(colours, png.gamma)


def _samples(png: PngFile, raw: bytes) -> np.ndarray:
    """Return the only or first channel, uint8 (H, W); the high byte of 16-bit samples."""
    if png.depth == _BYTE:
        return _decode(png, raw, "L", "L")
    if png.depth > _BYTE:
        words = _decode(png, raw, "I;16", "I;16B")  # uint16 (H, W)
        return (words >> _BYTE).astype(np.uint8)
    return _decode(png, raw, "P", f"P;{png.depth}")


def _decode(png: PngFile, raw: bytes, mode: str, raw_mode: str) -> np.ndarray:
    """Undo PNG's row filters and interlacing through Pillow; (H, W[, channels]).

    Args:
        mode, raw_mode: Pillow's names of the image in memory and of its samples in the file.
    """
    from PIL import Image

    size = (png.width, png.height)
    try:
        image = Image.frombytes(mode, size, _stored(raw), "zip", raw_mode, int(png.interlaced))
    except (ValueError, OSError) as error:
        raise CorruptInput(f"cannot be decoded ({error})", where=png.path) from error
    return np.asarray(image)


def _inflate(png: PngFile) -> bytes:
    """Inflate the filtered rows of all passes to the number of bytes that the header implies."""
    expected = _raw_size(png)
    try:
        raw = _decompressor().decompress(png.data, expected)
    except _INFLATE_ERRORS as error:
        raise CorruptInput(f"cannot be inflated ({error})", where=png.path) from error
    if len(raw) < expected:
        raise CorruptInput(f"ends after {len(raw)} of {expected} bytes of samples", where=png.path)
    return bytes(raw)


def _raw_size(png: PngFile) -> int:
    bits = png.depth * _CHANNELS[png.kind]
    passes = _ADAM7 if png.interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, right, down in passes:
        width = max(0, -(-(png.width - left) // right))
        height = max(0, -(-(png.height - top) // down))
        if width:
            total += height * (1 + -(-width * bits // _BYTE))
    return total


def _stored(raw: bytes) -> bytes:
    """Wrap `raw` in a zlib stream without compression, for Pillow's decoder."""
    parts: list[bytes | memoryview] = [b"\x78\x01"]
    view = memoryview(raw)
    for start in range(0, len(raw), _STORED_BLOCK):
        block = view[start : start + _STORED_BLOCK]
        final = start + _STORED_BLOCK >= len(raw)
        parts += [struct.pack("<BHH", final, len(block), len(block) ^ 0xFFFF), block]
    return b"".join([*parts, struct.pack(">I", _adler32(raw))])

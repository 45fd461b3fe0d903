"""PNG masks to packed rows, with the meaning of OpenCV's greyscale decode and none of its cost.

A pixel is foreground where `cv2.imread(path, cv2.IMREAD_GRAYSCALE)` is not 0, for every colour
type, bit depth and interlacing: 16-bit samples lose their low byte, colours are weighed to grey
and truncated (so a very dark colour is background), alpha and transparency are ignored.
Reference for the file format: the PNG specification, https://www.w3.org/TR/png-3/.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from schemas.errors import CorruptInput
from schemas.files import read_regular
from stages.score.masks.packed_masks import Rows, pack, words_in
from stages.score.masks.png_luma import colour_is_foreground

_decompressor: Callable[[], Any] = zlib.decompressobj
_adler32: Callable[[bytes], int] = zlib.adler32
_INFLATE_ERRORS: tuple[type[Exception], ...] = (zlib.error,)
try:  # inflates masks many times faster than the standard library's zlib; the bytes are the same
    from zlib_ng import zlib_ng
except ImportError:
    pass
else:
    _decompressor, _adler32 = zlib_ng.decompressobj, zlib_ng.adler32
    _INFLATE_ERRORS = (zlib.error, zlib_ng.error)  # type: ignore[assignment]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _COLOUR, _PALETTE, _GREY_ALPHA, _COLOUR_ALPHA = 0, 2, 3, 4, 6
_CHANNELS = {_GREY: 1, _COLOUR: 3, _PALETTE: 1, _GREY_ALPHA: 2, _COLOUR_ALPHA: 4}
_DEPTHS = {
    _GREY: (1, 2, 4, 8, 16),
    _COLOUR: (8, 16),
    _PALETTE: (1, 2, 4, 8),
    _GREY_ALPHA: (8, 16),
    _COLOUR_ALPHA: (8, 16),
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
_GREY_LEVELS = 256


@dataclass(frozen=True)
class Picture:
    """A PNG file taken apart.

    Attributes:
        depth: bits per sample.
        kind: the PNG colour type (0 grey, 2 colour, 3 palette, 4 and 6 the first two with alpha).
        palette: uint8 (entries, 3), where the kind is palette.
        gamma: of the file times 100,000, where it says so.
        data: the deflated samples.
    """

    path: Path
    width: int
    height: int
    depth: int
    kind: int
    interlaced: bool
    palette: np.ndarray | None
    gamma: int | None
    data: bytes


def read_mask(path: Path, size: tuple[int, int] | None = None) -> tuple[Rows, int]:
    """The foreground of a PNG file.

    Args:
        size: (H, W) that it must have; None accepts any.

    Returns:
        its rows (H, words) and its width W.

    Raises:
        MissingInput: no such file.
        WrongSize: it has another size.
        CorruptInput: it cannot be read.
    """
    picture = open_picture(path)
    if size is not None and (picture.height, picture.width) != size:
        raise WrongSize(
            f"is {picture.width} x {picture.height} pixels, the ground truth {size[1]} x {size[0]}",
            where=path,
        )
    return foreground(picture), picture.width


class WrongSize(CorruptInput):
    """A mask that does not have the size of its frame."""


def open_picture(path: Path) -> Picture:
    """Read the chunks of a file and check their sums."""
    content = read_regular(path)
    if content[: len(_SIGNATURE)] != _SIGNATURE:
        raise CorruptInput("is not a PNG file", where=path)
    try:
        return _assemble(path, _chunks(content, path))
    except (struct.error, ValueError) as error:
        raise CorruptInput(f"is a damaged PNG file ({error})", where=path) from error


def _chunks(content: bytes, path: Path) -> dict[bytes, list[bytes]]:
    """Chunks by type, in order, up to the end mark."""
    found: dict[bytes, list[bytes]] = {}
    position = len(_SIGNATURE)
    while True:
        if position + 12 > len(content):
            raise CorruptInput("is a truncated PNG file", where=path)
        length, kind = struct.unpack_from(">I4s", content, position)
        body = content[position + 8 : position + 8 + length]
        position += 12 + length
        if position > len(content):
            raise CorruptInput("is a truncated PNG file", where=path)
        (expected,) = struct.unpack_from(">I", content, position - 4)
        if zlib.crc32(body, zlib.crc32(kind)) != expected and not kind[0] & 0x20:
            raise CorruptInput(f"has a damaged {kind.decode('latin-1')} chunk", where=path)
        found.setdefault(kind, []).append(body)
        if kind == b"IEND":
            return found


def _assemble(path: Path, chunks: dict[bytes, list[bytes]]) -> Picture:
    if b"IHDR" not in chunks or b"IDAT" not in chunks:
        raise CorruptInput("is a PNG file without a picture", where=path)
    header = struct.unpack(">IIBBBBB", chunks[b"IHDR"][0])
    width, height, depth, kind, compression, filtering, interlacing = header
    known = kind in _DEPTHS and depth in _DEPTHS[kind] and interlacing in (0, 1)
    if not known or compression or filtering:
        raise CorruptInput(f"has a PNG header that means nothing {header}", where=path)
    side = max(width, height)
    if not min(width, height) or side > _LARGEST_SIDE or width * height > _LARGEST_AREA:
        raise CorruptInput(f"has an impossible size, {width} x {height}", where=path)
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
    return Picture(path, width, height, depth, kind, bool(interlacing), palette, gamma, data)


def foreground(picture: Picture) -> Rows:
    """Rows of the pixels that OpenCV's greyscale decode does not make 0.

    Raises:
        CorruptInput: the samples cannot be inflated or are too few.
    """
    raw = _inflate(picture)
    if not _plain_bytes(picture):
        return pack(_dense(picture, raw))
    from stages.score.masks.png_unfilter import decode_lines  # a worker's: see stages.score.worker

    rows = np.empty((picture.height, words_in(picture.width)), np.uint64)
    if not decode_lines(np.frombuffer(raw, np.uint8), picture.width, _bright(picture), rows):
        raise CorruptInput("has a row filter that means nothing", where=picture.path)
    return rows


def read_labels(path: Path) -> np.ndarray:
    """The samples of a grey or palette PNG of up to 8 bits as object numbers, uint8 (H, W).

    Raises:
        MissingInput: no such file.
        CorruptInput: it cannot be read, or has colours in place of numbers.
    """
    picture = open_picture(path)
    if picture.kind not in (_GREY, _PALETTE) or picture.depth > _BYTE:
        raise CorruptInput(
            "holds colours, object numbers are needed",
            where=path,
            hint="save it as a palette or an 8-bit grey PNG",
        )
    return _samples(picture, _inflate(picture))


def _plain_bytes(picture: Picture) -> bool:
    """Whether each pixel is one byte and rows come in order."""
    one_channel = picture.kind in (_GREY, _PALETTE)
    return one_channel and picture.depth == _BYTE and not picture.interlaced


def _bright(picture: Picture) -> np.ndarray:
    """Which of 256 sample values are foreground, bool (256,)."""
    bright = np.zeros(_GREY_LEVELS, bool)
    if picture.palette is None:
        bright[1:] = True
    else:
        entries = picture.palette[:_GREY_LEVELS]
        bright[: len(entries)] = colour_is_foreground(entries, picture.gamma)
    return bright


def _dense(picture: Picture, raw: bytes) -> np.ndarray:
    """The foreground as bool (H, W)."""
    if picture.kind == _PALETTE:
        return _bright(picture)[_samples(picture, raw)]
    if picture.kind == _GREY:
        return _samples(picture, raw) != 0
    if picture.kind == _GREY_ALPHA:
        # Two samples of two bytes are read as four of one; the first is the grey's high byte.
        mode = "LA" if picture.depth == _BYTE else "RGBA"
        return _decode(picture, raw, mode, mode)[..., 0] != 0
    mode = "RGB" if picture.kind == _COLOUR else "RGBA"
    if picture.depth == _BYTE:
        colours = _decode(picture, raw, mode, mode)[..., :3]
    else:
        high = _decode(picture, raw, mode, f"{mode};16B")[..., :3]
        low = _decode(picture, raw, mode, f"{mode};16L")[..., :3]  # the other byte of each sample
        colours = (high.astype(np.uint16) << _BYTE) | low
    return colour_is_foreground(colours, picture.gamma)


def _samples(picture: Picture, raw: bytes) -> np.ndarray:
    """The only or first channel, uint8 (H, W); the high byte of 16-bit samples."""
    if picture.depth == _BYTE:
        return _decode(picture, raw, "L", "L")
    if picture.depth > _BYTE:
        words = _decode(picture, raw, "I;16", "I;16B")  # uint16 (H, W)
        return (words >> _BYTE).astype(np.uint8)
    return _decode(picture, raw, "P", f"P;{picture.depth}")


def _decode(picture: Picture, raw: bytes, mode: str, form: str) -> np.ndarray:
    """Undo PNG's row filters and interlacing through Pillow; (H, W[, channels]).

    Args:
        mode, form: Pillow's names of the picture in memory and of its samples in the file.
    """
    from PIL import Image

    size = (picture.width, picture.height)
    try:
        image = Image.frombytes(mode, size, _stored(raw), "zip", form, int(picture.interlaced))
    except (ValueError, OSError) as error:
        raise CorruptInput(f"cannot be decoded ({error})", where=picture.path) from error
    return np.asarray(image)


def _inflate(picture: Picture) -> bytes:
    """The filtered rows of all passes, as many bytes as the header promises."""
    expected = _raw_size(picture)
    try:
        raw = _decompressor().decompress(picture.data, expected)
    except _INFLATE_ERRORS as error:
        raise CorruptInput(f"cannot be inflated ({error})", where=picture.path) from error
    if len(raw) < expected:
        raise CorruptInput(
            f"ends after {len(raw)} of {expected} bytes of samples", where=picture.path
        )
    return bytes(raw)


def _raw_size(picture: Picture) -> int:
    bits = picture.depth * _CHANNELS[picture.kind]
    passes = _ADAM7 if picture.interlaced else ((0, 0, 1, 1),)
    total = 0
    for left, top, right, down in passes:
        width = max(0, -(-(picture.width - left) // right))
        height = max(0, -(-(picture.height - top) // down))
        if width:
            total += height * (1 + -(-width * bits // _BYTE))
    return total


def _stored(raw: bytes) -> bytes:
    """`raw` as a zlib stream without compression, which Pillow's decoder takes."""
    parts: list[bytes | memoryview] = [b"\x78\x01"]
    view = memoryview(raw)
    for start in range(0, len(raw), _STORED_BLOCK):
        block = view[start : start + _STORED_BLOCK]
        final = start + _STORED_BLOCK >= len(raw)
        parts += [struct.pack("<BHH", final, len(block), len(block) ^ 0xFFFF), block]
    return b"".join([*parts, struct.pack(">I", _adler32(raw))])

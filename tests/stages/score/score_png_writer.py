"""Writes PNG files of every kind: all colour types, depths, row filters, with Adam7 or without."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping

import numpy as np

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
KINDS = [(kind, depth) for kind, depths in DEPTHS.items() for depth in depths]
ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk with its length and sum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def write_png(
    samples: np.ndarray,
    kind: int,
    depth: int,
    *,
    interlaced: bool = False,
    choose_filter: Callable[[int], int] = lambda row: 0,
    palette: np.ndarray | None = None,
    extra: Mapping[bytes, bytes] | None = None,
    level: int = 6,
) -> bytes:
    """A PNG file.

    Args:
        samples: integers (H, W, channels of the kind), each below 2 ** depth.
        choose_filter: the filter type 0-4 of a row, by a running row number.
        palette: uint8 (entries, 3).
        extra: chunks that go before the palette.
    """
    height, width, _ = samples.shape
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    raw, number = [], 0
    for left, top, right, down in passes:
        part = samples[top::down, left::right]
        if not part.size:
            continue
        before = None
        for row in part:
            line = _pack_row(row, depth)
            before = bytes(len(line)) if before is None else before
            name = choose_filter(number)
            number += 1
            raw.append(
                bytes([name]) + _filter(line, before, name, max(1, CHANNELS[kind] * depth // 8))
            )
            before = line
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced))
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    out += b"".join(chunk(name, body) for name, body in (extra or {}).items())
    if palette is not None:
        out += chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    packed = zlib.compress(b"".join(raw), level)
    half = len(packed) // 2
    return out + chunk(b"IDAT", packed[:half]) + chunk(b"IDAT", packed[half:]) + chunk(b"IEND", b"")


def _pack_row(row: np.ndarray, depth: int) -> bytes:
    flat = row.reshape(-1)
    if depth == 16:
        return flat.astype(">u2").tobytes()
    if depth == 8:
        return flat.astype(np.uint8).tobytes()
    bits = (flat[:, None].astype(np.uint8) >> np.arange(depth - 1, -1, -1, dtype=np.uint8)) & 1
    return np.packbits(bits.reshape(-1)).tobytes()


def _filter(line: bytes, before: bytes, name: int, step: int) -> bytes:
    out = bytearray(len(line))
    for index, value in enumerate(line):
        left = line[index - step] if index >= step else 0
        corner = before[index - step] if index >= step else 0
        out[index] = (value - _predict(name, left, before[index], corner)) & 0xFF
    return bytes(out)


def _predict(name: int, left: int, above: int, corner: int) -> int:
    if name == 4:
        guess = left + above - corner
        distances = [abs(guess - left), abs(guess - above), abs(guess - corner)]
        return (left, above, corner)[distances.index(min(distances))]
    return (0, left, above, (left + above) // 2)[name]

"""Raw frames with time stamps, as a Matroska stream that ffmpeg reads from a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

TICKS_PER_SECOND = 100_000
_TICK_NANOSECONDS = 10_000
_UNKNOWN_SIZE = b"\x01" + b"\xff" * 7
_RGB24, _RGBA = b"RGB\x18", b"RGBA"
_FIRST_TRACK = b"\x81"
_VIDEO = 1
# Identifiers of the elements, https://www.matroska.org/technical/elements.html
_EBML, _DOC_TYPE, _DOC_VERSION, _DOC_READ_VERSION = 0x1A45DFA3, 0x4282, 0x4287, 0x4285
_SEGMENT, _INFO, _TICK = b"\x18\x53\x80\x67", 0x1549A966, 0x2AD7B1
_TRACKS, _TRACK, _NUMBER, _UID, _TYPE, _CODEC = 0x1654AE6B, 0xAE, 0xD7, 0x73C5, 0x83, 0x86
_SETTINGS, _WIDTH, _HEIGHT, _COLOUR_SPACE = 0xE0, 0xB0, 0xBA, 0x2EB524
_CLUSTER, _TIME, _GROUP, _BLOCK, _DURATION = 0x1F43B675, 0xE7, 0xA0, 0xA1, 0x9B


def matroska(
    frames: Iterable[np.ndarray],
    times: Iterable[float],
    size: tuple[int, int],
    *,
    alpha: bool = False,
) -> Iterator[bytes]:
    """Yield pieces of one stream, each as soon as the time of the next frame is known.

    Args:
        frames: uint8 RGB arrays (H, W, 3) of `size`.
        times: seconds of each frame, increasing, then of the end; rounded to
            :data:`TICKS_PER_SECOND`.
        size: (height, width).
        alpha: the frames are RGBA, (H, W, 4).
    """
    yield _header(size, _RGBA if alpha else _RGB24)
    ticks = (round(time * TICKS_PER_SECOND) for time in times)
    start = next(ticks)
    for frame in frames:
        end = next(ticks)
        # Bytes of the block: its track, its time within the cluster (0), no flags, the pixels.
        block = _FIRST_TRACK + bytes(3) + np.ascontiguousarray(frame).tobytes()
        group = _element(_BLOCK, block) + _element(_DURATION, end - start)
        yield _element(_CLUSTER, _element(_TIME, start) + _element(_GROUP, group))
        start = end


def end_time(times: Sequence[float]) -> float:
    """The end of a video in seconds: its last frame is shown as long as the one before it."""
    return times[-1] + (times[-1] - times[-2] if len(times) > 1 else 1.0)


def _header(size: tuple[int, int], pixels: bytes) -> bytes:
    height, width = size
    document = (
        _element(_DOC_TYPE, b"matroska")
        + _element(_DOC_VERSION, 4)
        + _element(_DOC_READ_VERSION, 2)
    )
    settings = _element(_WIDTH, width) + _element(_HEIGHT, height) + _element(_COLOUR_SPACE, pixels)
    track = (
        _element(_NUMBER, 1)
        + _element(_UID, 1)
        + _element(_TYPE, _VIDEO)
        + _element(_CODEC, b"V_UNCOMPRESSED")
        + _element(_SETTINGS, settings)
    )
    return (
        _element(_EBML, document)
        + _SEGMENT
        + _UNKNOWN_SIZE
        + _element(_INFO, _element(_TICK, _TICK_NANOSECONDS))
        + _element(_TRACKS, _element(_TRACK, track))
    )


def _element(identifier: int, content: bytes | int) -> bytes:
    """An element: identifier, length as eight bytes, content; numbers are big-endian."""
    if isinstance(content, int):
        content = content.to_bytes(8, "big")
    name = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return name + b"\x01" + len(content).to_bytes(7, "big") + content

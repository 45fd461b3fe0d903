"""Videos of overlays and cut-outs; equal frames give equal bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stages.core.media.ffmpeg import RGBA, write_h264, write_video
from stages.tools.render.drawing import BEST_QUALITY, WORST_QUALITY
from stages.tools.render.writing.sound import Sound

H264, VP9, PRORES = "libx264", "libvpx-vp9", "prores_ks"
# Players guess the colour matrix of untagged video, and the palette shifts.
_MATRIX = "bt709"
_COLOURS = {
    "colorspace": _MATRIX,
    "color_primaries": _MATRIX,
    "color_trc": _MATRIX,
    "color_range": "tv",
}
# VP9 with alpha: its hidden reference frames cannot be used then. Speed 4 of "good" is about as
# fast as the drawing.
_VP9 = {
    "c:v": VP9,
    "pix_fmt": "yuva420p",
    "b:v": 0,
    "deadline": "good",
    "cpu-used": 4,
    "auto-alt-ref": 0,
}
_WORST_VP9 = 63
_PRORES = {"c:v": PRORES, "profile:v": "4444", "pix_fmt": "yuva444p10le", "alpha_bits": 16}
_MOV_TICKS_PER_SECOND = 100_000


def write_mp4(
    path: Path,
    frames: Iterator[np.ndarray],
    size: tuple[int, int],
    fps: float,
    quality: int,
    times: Iterable[float] | None = None,
    sound: Sound | None = None,
) -> None:
    """Write uint8 RGB frames of `size` (height, width) as H.264 with colour tags.

    H.264 needs even sizes: the last row or column of an odd one is doubled.

    Args:
        times: seconds of each frame and of the end, instead of a constant `fps`.
        sound: to add.

    Raises:
        TglError: ffmpeg failed; the message is its last line.
    """
    height, width = even_size(size)
    if (height, width) != size:
        frames = (_padded(frame, height, width) for frame in frames)
    options = _COLOURS | ({} if sound is None else sound.options(path.suffix))
    write_h264(
        path,
        frames,
        (height, width),
        fps,
        quality,
        times=times,
        convert=_tagged,
        sound=None if sound is None else sound.stream(),
        **options,
    )


def write_transparent(
    path: Path,
    frames: Iterator[np.ndarray],
    size: tuple[int, int],
    fps: float,
    quality: int,
    times: Iterable[float] | None = None,
    sound: Sound | None = None,
) -> None:
    """Write uint8 RGBA frames of `size` as VP9 (`.webm`) or ProRes 4444 (`.mov`) with alpha.

    ProRes keeps the alpha exactly and the colours nearly so, whatever the quality; VP9 both exactly
    at :data:`BEST_QUALITY`. WebM rounds times to milliseconds.

    Args:
        times, sound: as of :func:`write_mp4`.

    Raises:
        TglError: ffmpeg failed; the message is its last line.
    """
    if path.suffix == ".webm":
        options = _VP9 | {"crf": round(quality * _WORST_VP9 / WORST_QUALITY)}
        options |= {"lossless": 1} if quality == BEST_QUALITY else {}
    else:
        options = _PRORES | (
            {} if times is None else {"video_track_timescale": _MOV_TICKS_PER_SECOND}
        )
    options |= _COLOURS | ({} if sound is None else sound.options(path.suffix))
    write_video(
        path,
        frames,
        size,
        fps,
        options,
        pixels=RGBA,
        times=times,
        convert=_tagged,
        sound=None if sound is None else sound.stream(),
    )


def odd_size_note(size: tuple[int, int]) -> str:
    """A line about an odd size (height, width), which H.264 cannot have; empty for an even one."""
    if even_size(size) == size:
        return ""
    return f"H.264 needs even sizes: the last row or column of {size[1]}x{size[0]} is there twice"


def even_size(size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) rounded up to even numbers."""
    return size[0] + size[0] % 2, size[1] + size[1] % 2


def _padded(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Repeat the last row and column of (H, W, 3) up to a size."""
    more = ((0, height - frame.shape[0]), (0, width - frame.shape[1]), (0, 0))
    return np.pad(frame, more, mode="edge")


def _tagged(stream: Any) -> Any:
    return stream.filter("scale", out_color_matrix=_MATRIX, out_range="tv")

"""Writing overlays as mp4, animated GIF or PNG; equal frames give equal bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stages.core.media.ffmpeg import write_h264
from stages.core.media.palette import FIXED

# Players guess the colour matrix of untagged video, and the palette shifts.
_MATRIX = "bt709"
_COLOURS = {
    "colorspace": _MATRIX,
    "color_primaries": _MATRIX,
    "color_trc": _MATRIX,
    "color_range": "tv",
}
_GIF_UNITS_PER_SECOND = 100
_MILLISECONDS_PER_GIF_UNIT = 10
# Players slow shorter frames down to a tenth of a second.
_SHORTEST_GIF_UNITS = 2
_GIF_COLOURS = 256


def write_mp4(
    path: Path,
    frames: Iterator[np.ndarray],
    size: tuple[int, int],
    fps: float,
    quality: int,
    times: Iterable[float] | None = None,
) -> None:
    """Write uint8 RGB frames of `size` (height, width; both even) as H.264 with colour tags.

    Args:
        times: seconds of each frame and of the end, instead of a constant `fps`.

    Raises:
        TglError: ffmpeg failed; the message is its last line.
    """
    write_h264(path, frames, size, fps, quality, times=times, convert=_tagged, **_COLOURS)


def _tagged(stream: Any) -> Any:
    return stream.filter("scale", out_color_matrix=_MATRIX, out_range="tv")


def write_gif(
    path: Path, frames: Iterator[np.ndarray], fps: float, times: Sequence[float] | None = None
) -> None:
    """Write uint8 RGB frames, taken one by one, as an endless animated GIF.

    Args:
        times: seconds of each frame and of the end, instead of a constant `fps`.
    """
    units = max(_SHORTEST_GIF_UNITS, round(_GIF_UNITS_PER_SECOND / fps))
    duration: int | list[int] = units * _MILLISECONDS_PER_GIF_UNIT
    if times is not None:
        duration = [shown * _MILLISECONDS_PER_GIF_UNIT for shown in _gif_units(times)]
    images = (_indexed(frame) for frame in frames)
    first = next(images)
    first.save(
        path, "GIF", save_all=True, append_images=images, duration=duration, loop=0, disposal=1
    )


def _gif_units(times: Sequence[float]) -> list[int]:
    """Duration of each frame; rounding errors do not add up."""
    durations: list[int] = []
    now = 0
    for end in times[1:]:
        units = round((end - times[0]) * _GIF_UNITS_PER_SECOND) - now
        durations.append(max(_SHORTEST_GIF_UNITS, units))
        now += durations[-1]
    return durations


def write_png(path: Path, image: np.ndarray) -> None:
    """Write one uint8 RGB image."""
    Image.fromarray(image).save(path, "PNG")


def _indexed(frame: np.ndarray) -> Image.Image:
    """A frame in 256 colours, among them those of the masks and the legend unchanged."""
    image = Image.fromarray(frame)
    own = image.quantize(_GIF_COLOURS - len(FIXED), method=Image.Quantize.MEDIANCUT)
    palette = Image.new("P", (1, 1))
    fixed = [value for colour in FIXED for value in colour]
    palette.putpalette((own.getpalette() or []) + fixed)
    return image.quantize(palette=palette, dither=Image.Dither.NONE)

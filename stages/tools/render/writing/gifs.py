"""Animated GIFs, of a bounded size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from stages.core.media.palette import FIXED

_GIF_UNITS_PER_SECOND = 100
_MILLISECONDS_PER_GIF_UNIT = 10
# Players slow shorter frames down to a tenth of a second.
_SHORTEST_GIF_UNITS = 2
_GIF_COLOURS = 256
_BYTES_PER_MEGABYTE = 1_000_000
_SMALLEST_SIDE = 96
"""Shorter side below which a GIF is not shrunk."""
_RUNS, _RUN = 3, 8
"""A long GIF's size is estimated from this many runs of this many frames."""
_ROOM = 0.94
"""Share of the limit to aim at: the size is not quite proportional to the pixels."""
_SLACK = 1e-4

Draw = Callable[[int, Sequence[int]], tuple[tuple[int, int], Iterator[np.ndarray]]]
"""Draws some frames with a shorter side: their (height, width), and uint8 RGB images."""


@dataclass(frozen=True)
class BoundedGif:
    """A GIF that was written within limits.

    Attributes:
        side: shorter side of its frames in pixels.
        frames: number of frames.
        megabytes: size of the file.
    """

    side: int
    frames: int
    megabytes: float


def write_bounded_gif(
    path: Path, draw: Draw, side: int, times: Sequence[float], *, fps: float, megabytes: float
) -> BoundedGif:
    """Write a GIF that keeps within limits, by leaving out frames and then by drawing it smaller.

    Args:
        side: largest shorter side of a frame, in pixels.
        times: seconds of each frame of the video, then of the end.
        fps: most frames per second; 0 keeps all.
        megabytes: largest file; 0 is no limit. A GIF of the smallest side may exceed it.
    """
    kept = spaced_frames(times, fps)
    shown = [times[frame] for frame in kept] + [times[-1]]
    limit = megabytes * _BYTES_PER_MEGABYTE or math.inf
    sample = _sample(len(kept)) if megabytes else list(range(len(kept)))
    while True:
        whole = len(sample) == len(kept)
        _, frames = draw(side, [kept[number] for number in sample])
        write_gif(path, frames, shown if whole else [0.0, *(1.0 + n for n in range(len(sample)))])
        expected = path.stat().st_size * len(kept) / len(sample)
        if expected > limit and side > _SMALLEST_SIDE:
            smaller = math.floor(side * math.sqrt(_ROOM * limit / expected))
            side = max(_SMALLEST_SIDE, min(smaller, side - 1))
        elif whole:
            return BoundedGif(side, len(kept), expected / _BYTES_PER_MEGABYTE)
        else:
            sample = list(range(len(kept)))


def spaced_frames(times: Sequence[float], fps: float) -> list[int]:
    """Frames that are at least 1 / fps seconds apart, the first one included; 0 keeps all.

    Args:
        times: seconds of each frame, then of the end.
    """
    kept = [0]
    for frame, time in enumerate(times[:-1]):
        if frame and (not fps or time - times[kept[-1]] >= 1 / fps - _SLACK):
            kept.append(frame)
    return kept


def _sample(frames: int) -> list[int]:
    """Runs of consecutive frames, spread over a video; all frames of a short one."""
    if frames <= 2 * _RUNS * _RUN:
        return list(range(frames))
    starts = np.linspace(0, frames - _RUN, _RUNS).round().astype(int).tolist()
    return [start + number for start in starts for number in range(_RUN)]


def write_gif(path: Path, frames: Iterator[np.ndarray], times: Sequence[float]) -> None:
    """Write uint8 RGB frames, taken one by one, as an endless animated GIF.

    Args:
        times: seconds of each frame and of the end.
    """
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


def _indexed(frame: np.ndarray) -> Image.Image:
    """A frame in 256 colours, among them those of the masks and the legend unchanged."""
    image = Image.fromarray(frame)
    own = image.quantize(_GIF_COLOURS - len(FIXED), method=Image.Quantize.MEDIANCUT)
    palette = Image.new("P", (1, 1))
    fixed = [value for colour in FIXED for value in colour]
    palette.putpalette((own.getpalette() or []) + fixed)
    return image.quantize(palette=palette, dither=Image.Dither.NONE)

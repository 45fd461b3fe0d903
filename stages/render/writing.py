"""Pictures to files: mp4 through ffmpeg, animated GIF, PNG; the same bytes every time."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ffmpeg
import numpy as np
from PIL import Image

from schemas.errors import TglError
from stages.engine.ffmpeg import ffmpeg_binary
from stages.render.palette import FIXED

_MATRIX = "bt709"
_H264 = {
    "c:v": "libx264",
    "preset": "veryfast",
    "pix_fmt": "yuv420p",
    "colorspace": _MATRIX,
    "color_primaries": _MATRIX,
    "color_trc": _MATRIX,
    "color_range": "tv",
    "threads": 1,
    "fflags": "+bitexact",
    "flags:v": "+bitexact",
    "map_metadata": -1,
    "movflags": "+faststart",
}
_GIF_UNITS_PER_SECOND = 100
# Players show anything faster at a tenth of a second.
_SHORTEST_GIF_UNITS = 2
_GIF_COLOURS = 256


def write_mp4(
    path: Path, frames: Iterator[np.ndarray], size: tuple[int, int], fps: float, quality: int
) -> None:
    """Write uint8 RGB frames of `size` (height, width; both even) as H.264.

    One thread and ffmpeg's bitexact flags leave nothing in the file that could differ.

    Raises:
        TglError: ffmpeg failed; the message is its last line.
    """
    height, width = size
    source = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", r=fps)
    # Untagged video is shown in another matrix than it was made in, and the palette shifts.
    converted = source.filter("scale", out_color_matrix=_MATRIX, out_range="tv")
    target = converted.output(f"file:{path}", crf=quality, **_H264).overwrite_output()
    command = target.global_args("-loglevel", "error").compile(cmd=ffmpeg_binary())
    # A file takes the messages: a pipe could fill while we are still writing frames.
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stderr=messages,
            start_new_session=True,  # Ctrl-C is for us: the frames decide when the video ends
        )
        try:
            _feed(process, frames)
        finally:
            process.wait()
        if process.returncode != 0:
            messages.seek(0)
            lines = messages.read().decode(errors="replace").strip().splitlines()
            raise TglError(
                f"ffmpeg could not write the video ({lines[-1] if lines else 'no message'})",
                where=path,
                hint="an ffmpeg with libx264 is needed; the wheel imageio-ffmpeg carries one",
            )


def _feed(process: subprocess.Popen[bytes], frames: Iterator[np.ndarray]) -> None:
    assert process.stdin is not None
    try:
        with process.stdin as pipe:
            for frame in frames:
                pipe.write(np.ascontiguousarray(frame).data)
    except BrokenPipeError:
        pass  # ffmpeg has ended early: its exit code and its message say why
    except BaseException:
        process.kill()
        raise


def write_gif(path: Path, frames: Iterator[np.ndarray], fps: float) -> None:
    """Write uint8 RGB frames as an endless animated GIF, one after the other."""
    units = max(_SHORTEST_GIF_UNITS, round(_GIF_UNITS_PER_SECOND / fps))
    images = (_indexed(frame) for frame in frames)
    first = next(images)
    milliseconds = units * 1000 // _GIF_UNITS_PER_SECOND
    first.save(
        path, "GIF", save_all=True, append_images=images, duration=milliseconds, loop=0, disposal=1
    )


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write one uint8 RGB picture."""
    Image.fromarray(picture).save(path, "PNG")


def _indexed(frame: np.ndarray) -> Image.Image:
    """A frame in 256 colours, among them exactly those of the masks and of the legend."""
    image = Image.fromarray(frame)
    own = image.quantize(_GIF_COLOURS - len(FIXED), method=Image.Quantize.MEDIANCUT)
    palette = Image.new("P", (1, 1))
    fixed = [value for colour in FIXED for value in colour]
    palette.putpalette((own.getpalette() or []) + fixed)
    return image.quantize(palette=palette, dither=Image.Dither.NONE)

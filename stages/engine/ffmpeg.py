"""Finding ffmpeg, and writing a video with it: the same bytes every time."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np

from schemas.errors import MissingInput, TglError, disk_full, says_disk_full

# One thread and ffmpeg's bitexact flags leave nothing in the file that could differ.
_H264 = {
    "c:v": "libx264",
    "preset": "veryfast",
    "pix_fmt": "yuv420p",
    "threads": 1,
    "fflags": "+bitexact",
    "flags:v": "+bitexact",
    "map_metadata": -1,
    "movflags": "+faststart",
}


@lru_cache(maxsize=1)
def ffmpeg_binary() -> str:
    """The ffmpeg on the PATH, else the one that the wheel imageio-ffmpeg carries.

    Raises:
        MissingInput: there is neither.
    """
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise MissingInput("no ffmpeg found", hint="pip install imageio-ffmpeg") from error


def write_h264(
    path: Path,
    frames: Iterable[np.ndarray],
    size: tuple[int, int],
    fps: float,
    quality: int,
    *,
    convert: Callable[[Any], Any] = lambda stream: stream,
    **options: object,
) -> None:
    """Write frames as an H.264 file, byte for byte the same every time.

    Args:
        frames: uint8 RGB arrays (H, W, 3) of `size`, taken one after the other.
        size: (height, width), both even.
        fps: frames a second.
        quality: x264's constant rate factor, 0 is lossless.
        convert: filters between the frames and the encoder, on a stream of ffmpeg-python.
        options: of the output, beside those that every video gets.

    Raises:
        MissingInput: there is no ffmpeg.
        DiskFull: there is no room for the file.
        TglError: ffmpeg failed; the message is its last line.
    """
    height, width = size
    source = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", r=fps)
    target = convert(source).output(f"file:{path}", crf=quality, **_H264, **options)
    command = target.overwrite_output().global_args("-loglevel", "error")
    # A file takes the messages: a pipe could fill while we are still writing frames.
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(
            command.compile(cmd=ffmpeg_binary()),
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
            text = messages.read().decode(errors="replace")
            if says_disk_full(text):
                raise disk_full(path)
            lines = text.strip().splitlines()
            raise TglError(
                f"ffmpeg could not write the video ({lines[-1] if lines else 'no message'})",
                where=path,
                hint="an ffmpeg with libx264 is needed; the wheel imageio-ffmpeg carries one",
            )


def _feed(process: subprocess.Popen[bytes], frames: Iterable[np.ndarray]) -> None:
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

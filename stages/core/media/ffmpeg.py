"""Finding ffmpeg, opening a video with it, and writing a video, always with the same bytes."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np

from schemas.errors import MissingInput, TglError, disk_full, says_disk_full
from stages.core.media.children import child
from stages.core.media.timed_video import TICKS_PER_SECOND, matroska

# One thread and ffmpeg's bitexact flags leave nothing in the file that could differ.
_REPRODUCIBLE = {
    "threads": 1,
    "fflags": "+bitexact",
    "flags:v": "+bitexact",
    "map_metadata": -1,
}
_H264 = {
    "c:v": "libx264",
    "preset": "veryfast",
    "pix_fmt": "yuv420p",
    "movflags": "+faststart",
}
# No frame is doubled, dropped or moved, and the file's clock is that of the stream.
_AS_TIMED: dict[str, object] = {
    "fps_mode": "passthrough",
    "enc_time_base:v": f"1:{TICKS_PER_SECOND}",
}
_AS_TIMED_IN_MP4 = {
    "video_track_timescale": TICKS_PER_SECOND,
    "bf": 0,  # reordered frames would make the file's length wrong where the gaps are uneven
}

_NUMBERS_PER_SECOND = 1000
IN_ORDER = {"fps_mode": "passthrough", "enc_time_base": f"1:{_NUMBERS_PER_SECOND}"}
"""Options of an output that gets every frame of :func:`in_order`, once."""

RGB, RGBA = "rgb24", "rgba"
"""Layouts of the pixels of frames, by ffmpeg's names."""


@lru_cache(maxsize=1)
def ffmpeg_binary() -> str:
    """The path of ffmpeg: on the PATH, else in the wheel imageio-ffmpeg.

    Raises:
        MissingInput: both are missing.
    """
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise MissingInput("no ffmpeg found", hint="pip install imageio-ffmpeg") from error


_LOCAL_ONLY = "file,pipe"
# Demuxers that read other files than the one given, or no file at all.
_OPEN_OTHERS = frozenset(
    (
        *("avisynth", "concat", "dash", "dvdvideo", "hls", "applehttp", "imf", "lavfi", "mlv"),
        *("rtp", "rtsp", "sap", "sdp", "vapoursynth", "vobsub", "webm_dash_manifest"),
    )
)
_IMAGE_SEQUENCES = frozenset(("image2", "alias_pix", "brender_pix"))
_DEMUXER = re.compile(r"^ D(?P<device>[ d.]*) (?P<names>[\w,]+) ", re.MULTILINE)
_ENCODER = re.compile(r"^ [VAS][A-Z.]{5} ([\w-]+) ", re.MULTILINE)
NOT_ONE_FILE = "not on whitelist"
"""In ffmpeg's message about another file, which :func:`open_video` does not let it open."""


def open_video(path: Path, **options: object) -> Any:
    """Open a user's file as an input of ffmpeg-python: this file alone, not those it refers to.

    Args:
        options: of the input, such as `ss`.
    """
    path = path.absolute()
    formats = _demuxers()
    if "%" in str(path):  # image2 would take the name as a pattern
        formats -= _IMAGE_SEQUENCES
    return ffmpeg.input(
        f"file:{path}",
        protocol_whitelist=_LOCAL_ONLY,
        format_whitelist=",".join(sorted(formats)),
        **options,
    )


def in_order(stream: Any) -> Any:
    """Number the frames of a stream, as the last filter before :data:`IN_ORDER`.

    Encoders and muxers count in frames of the container's rate. With a variable rate two frames
    fall on one count, and ffmpeg stops at the second; so it does at a time stamp that occurs twice.
    """
    return stream.filter("settb", f"1/{_NUMBERS_PER_SECOND}").filter("setpts", "N")


@lru_cache(maxsize=1)
def _demuxers() -> frozenset[str]:
    """Names of the formats that this ffmpeg reads from a single file."""
    names = {
        name
        for found in _DEMUXER.finditer(_listed("-demuxers"))
        if "d" not in found["device"]
        for name in found["names"].split(",")
    }
    return frozenset(names - _OPEN_OTHERS)


def write_h264(
    path: Path,
    frames: Iterable[np.ndarray],
    size: tuple[int, int],
    fps: float,
    quality: int,
    *,
    times: Iterable[float] | None = None,
    convert: Callable[[Any], Any] = lambda stream: stream,
    sound: Any = None,
    **options: object,
) -> None:
    """Write frames as an H.264 file, byte for byte the same every time.

    Args:
        frames: uint8 RGB arrays (H, W, 3) of `size`, consumed one by one.
        size: (height, width), both even.
        fps: frames per second; not used with `times`.
        times: seconds at which each frame is shown, then the end, to 10 microseconds.
        quality: x264's constant rate factor, 0 is lossless.
        convert: filters between the frames and the encoder, on a stream of ffmpeg-python.
        sound: an audio stream of ffmpeg-python to add; `options` name its codec.
        options: of the output, beside those of every video.

    Raises:
        MissingInput: ffmpeg is missing.
        DiskFull: the disk is full.
        TglError: ffmpeg failed; the message is its last line.
    """
    options = {"crf": quality, **_H264, **options}
    if times is not None:
        options |= _AS_TIMED_IN_MP4
    write_video(path, frames, size, fps, options, times=times, convert=convert, sound=sound)


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    size: tuple[int, int],
    fps: float,
    options: Mapping[str, object],
    *,
    pixels: str = RGB,
    times: Iterable[float] | None = None,
    convert: Callable[[Any], Any] = lambda stream: stream,
    sound: Any = None,
) -> None:
    """Write frames as a video, byte for byte the same every time; see :func:`write_h264`.

    Args:
        options: of the output, among them its encoder, as `c:v`.
        pixels: :data:`RGB` for frames uint8 (H, W, 3), or :data:`RGBA` for (H, W, 4).
    """
    height, width = size
    pieces: Iterable[bytes | memoryview]
    timing: dict[str, object] = {}
    if times is None:
        layout = {"pix_fmt": pixels, "s": f"{width}x{height}", "r": fps}
        source = ffmpeg.input("pipe:", format="rawvideo", **layout)
        pieces = (np.ascontiguousarray(frame).data for frame in frames)
    else:
        source = ffmpeg.input("pipe:", format="matroska")
        pieces = matroska(frames, times, size, alpha=pixels == RGBA)
        timing = _AS_TIMED
    streams = [convert(source), *(() if sound is None else (sound,))]
    target = ffmpeg.output(*streams, f"file:{path}", **{**options, **_REPRODUCIBLE, **timing})
    command = target.overwrite_output().global_args("-loglevel", "error")
    _encode(path, command.compile(cmd=ffmpeg_binary()), pieces, str(options.get("c:v")))


def require_encoders(names: Iterable[str]) -> None:
    """Raise MissingInput unless this ffmpeg has all encoders, such as `libvpx-vp9`."""
    missing = sorted(set(names) - _encoders())
    if missing:
        raise MissingInput(
            f"has no encoder {', '.join(missing)}",
            where=ffmpeg_binary(),
            hint="take another --format, or put an ffmpeg that has it first on the PATH, such as "
            "that of the wheel imageio-ffmpeg",
        )


@lru_cache(maxsize=1)
def _encoders() -> frozenset[str]:
    """Names of the encoders of this ffmpeg."""
    return frozenset(_ENCODER.findall(_listed("-encoders")))


def _listed(what: str) -> str:
    """A list that ffmpeg prints, such as `-encoders`."""
    command = [ffmpeg_binary(), "-hide_banner", what]
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    ).stdout


def _encode(
    path: Path, command: list[str], pieces: Iterable[bytes | memoryview], encoder: str
) -> None:
    # Messages go to a file: a pipe could fill while we are still writing frames.
    with tempfile.TemporaryFile() as messages:
        with child(command, stdin=subprocess.PIPE, stderr=messages) as process:
            _feed(process, pieces)
        if process.returncode != 0:
            messages.seek(0)
            raise _not_written(path, messages.read().decode(errors="replace"), encoder)


def _not_written(path: Path, messages: str, encoder: str) -> TglError:
    if says_disk_full(messages):
        return disk_full(path)
    lines = messages.strip().splitlines()
    return TglError(
        f"ffmpeg could not write the video ({lines[-1] if lines else 'no message'})",
        where=path,
        hint=f"it needs {encoder}, as in the wheel imageio-ffmpeg",
    )


def _feed(process: subprocess.Popen[bytes], pieces: Iterable[bytes | memoryview]) -> None:
    assert process.stdin is not None
    try:
        with process.stdin as pipe:
            for piece in pieces:
                pipe.write(piece)
    except BrokenPipeError:
        pass  # ffmpeg has ended early; its exit code and messages say why

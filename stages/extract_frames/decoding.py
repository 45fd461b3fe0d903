"""One ffmpeg call that decodes a video once, writes its frames and tells their time stamps."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg

from schemas.errors import CorruptInput, OutputBlocked, TglError
from stages.engine.ffmpeg import ffmpeg_binary
from stages.extract_frames.config import ExtractConfig

_FRAME = re.compile(r"\] n: *(\d+) pts: *(-?\d+|NOPTS) .*? s:(\d+)x(\d+) ")
_TIME_BASE = re.compile(r"config in time_base: (\d+)/(\d+)")
_ERROR = re.compile(r"\[(?:error|fatal|panic)\] *(.*)")
# What an ffmpeg of any age prints after the real reason.
_NOISE = ("Task finished", "Terminating thread", "Conversion failed", "Error while")
_DISK_FULL = "No space left on device"
_LOCAL_ONLY = "file,pipe"
_GLOBAL = (
    *("-hide_banner", "-nostats", "-nostdin", "-xerror", "-loglevel", "level+info"),
    # With --start, time stamps still count from the video's own beginning, unrounded.
    *("-copyts", "-start_at_zero"),
)


@dataclass(frozen=True)
class Stamp:
    """A frame as ffmpeg wrote it: exact time (None if the container has none) and size."""

    pts: Fraction | None
    width: int
    height: int


def decode_video(
    video: Path,
    folder: Path,
    config: ExtractConfig,
    *,
    threads: int,
    on_frame: Callable[[], None] | None = None,
) -> list[Stamp]:
    """Write the frames of `video` as `folder/<00000>.jpg` and return a stamp for each.

    Sound is ignored, rotation metadata is honoured, frames are neither doubled nor dropped to even
    out a variable rate, and 10-bit pictures become 8-bit ones.

    Args:
        folder: exists and is empty.
        threads: of decoder, filters and encoder; 0 lets ffmpeg choose.
        on_frame: called for every frame written.

    Raises:
        CorruptInput: ffmpeg cannot read all of it; the message is ffmpeg's first error.
        OutputBlocked: the disk is full.
    """
    process = subprocess.Popen(
        _command(video, config, threads),
        cwd=folder,  # a relative pattern: a % in the folder's name is then no pattern
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    with process:
        assert process.stderr is not None
        stamps, errors = read_log(process.stderr, on_frame)
    if process.returncode != 0:
        raise failure(errors, video, folder)
    return stamps


def read_log(
    lines: Iterable[str], on_frame: Callable[[], None] | None
) -> tuple[list[Stamp], list[str]]:
    """The stamps and the errors that ffmpeg tells of while it works."""
    stamps: list[Stamp] = []
    errors: list[str] = []
    base = Fraction(1)
    for line in lines:
        if found := _FRAME.search(line):
            stamps.append(_stamp(found, base))
            if on_frame is not None:
                on_frame()
        elif found := _TIME_BASE.search(line):
            base = Fraction(int(found[1]), int(found[2]))
        elif found := _ERROR.search(line):
            errors.append(found[1].strip())
    return stamps, errors


def failure(errors: list[str], video: Path, folder: Path) -> TglError:
    """What to raise where ffmpeg gave up on `video` while it wrote to `folder`."""
    if any(_DISK_FULL in line for line in errors):
        return OutputBlocked(
            "the disk is full",
            where=folder,
            hint="free some space and run the same command again; finished work is kept",
        )
    return CorruptInput(
        f"cannot be decoded to its end ({_reason(errors)})",
        where=video,
        hint="copy or download it again",
    )


def _command(video: Path, config: ExtractConfig, threads: int) -> list[str]:
    timing = {}
    if config.start:
        timing["ss"] = config.start
    if config.end:
        timing["to"] = config.end
    source = ffmpeg.input(
        f"file:{video.absolute()}",
        protocol_whitelist=_LOCAL_ONLY,
        **timing,
        **({"threads": threads} if threads else {}),
    )
    stream = _filtered(source["v:0"], config).filter("showinfo", checksum=0)
    options: dict[str, object] = {"fps_mode": "passthrough", "start_number": 0, "f": "image2"}
    if config.format == "jpg":
        options |= {"c:v": "mjpeg", "qscale:v": config.quality}
    else:
        options |= {"c:v": "png", "pix_fmt": "rgb24"}
    if threads:
        options |= {"threads": threads}
    output = stream.output(f"%0{config.digits}d.{config.format}", **options)
    return output.global_args(*_GLOBAL).compile(cmd=ffmpeg_binary())


def _filtered(stream: Any, config: ExtractConfig) -> Any:
    if config.fps:
        stream = stream.filter("fps", fps=config.fps)
    if config.stride > 1:
        stream = stream.filter("select", f"not(mod(n,{config.stride}))")
    exact = config.exact_size()
    if exact is not None:
        stream = stream.filter("scale", *exact, flags="bicubic").filter("setsar", 1)
    elif config.short_side:
        side = config.short_side
        stream = stream.filter(
            "scale", f"if(gt(iw,ih),-2,{side})", f"if(gt(iw,ih),{side},-2)", flags="bicubic"
        )
    return stream


def _stamp(found: re.Match[str], base: Fraction) -> Stamp:
    pts = None if found[2] == "NOPTS" else int(found[2]) * base
    return Stamp(pts, int(found[3]), int(found[4]))


def _reason(errors: list[str]) -> str:
    for line in errors:
        if line and not line.startswith(_NOISE):
            return line.rstrip(".")
    return "ffmpeg gave no reason"

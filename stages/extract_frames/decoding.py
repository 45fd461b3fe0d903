"""One ffmpeg call that decodes a video, writes its frames and reports their time stamps."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from schemas.errors import CorruptInput
from stages.core.media.children import child
from stages.core.media.ffmpeg import IN_ORDER, ffmpeg_binary, in_order, open_video
from stages.extract_frames.config import ExtractConfig
from stages.extract_frames.log import Log, damage, failure

_TRIES = 5
"""Runs of ffmpeg until no message stands within another one."""
_GLOBAL = (
    # Decoding goes on after an error, so that all of them are counted.
    *("-hide_banner", "-nostats", "-nostdin", "-loglevel", "repeat+level+info"),
    *("-max_error_rate", "1"),
    # With --start, time stamps still count from the video's own beginning, unrounded.
    *("-copyts", "-start_at_zero"),
)


def decode_video(
    video: Path,
    folder: Path,
    config: ExtractConfig,
    *,
    threads: int,
    on_frame: Callable[[], None],
    on_header: Callable[[float, float], None],
) -> Log:
    """Write the frames of `video` as `folder/<00000>.jpg`; the log has a time stamp for each.

    Sound is ignored, rotation metadata is applied, frames are neither doubled nor dropped to even
    out a variable rate, and 10-bit frames become 8-bit ones.

    Args:
        folder: exists and is empty.
        threads: of decoder, filters and encoder; 0 lets ffmpeg choose.
        on_frame: called for every frame before it is encoded and written.
        on_header: called once with the video's duration in seconds and its frame rate, if the
            header has them.

    Raises:
        CorruptInput: ffmpeg cannot decode all of it, or not without errors unless
            `config.keep_damaged`; the message has ffmpeg's first error.
        OutputBlocked: the disk is full.
    """
    log, exit_code = _run(_command(video, config, threads), folder, Log(on_frame, on_header))
    if not log.stamps and log.seconds is not None and config.start >= log.seconds:
        raise CorruptInput(
            f"has no frame after --start {config.start:g}, it is {log.seconds:g} s long",
            where=video,
        )
    if exit_code != 0:
        raise failure(log.errors, video, folder)
    if log.mixed:
        log.damage = decoding_errors(video, **_timing(config))
    if log.damage and not config.keep_damaged:
        raise damage(log.damage, video)
    return log


def decoding_errors(video: Path, **timing: float) -> list[str]:
    """Decode `video` for its messages about damage alone, without the filter that logs frames.

    Args:
        timing: options of the input, as of ffmpeg.
    """
    output = in_order(open_video(video, **timing)["v:0"]).output("-", f="null", **IN_ORDER)
    command = output.global_args(*_GLOBAL).compile(cmd=ffmpeg_binary())
    for _ in range(_TRIES):
        log, _ = _run(command, Path.cwd(), Log())
        if log.damage or not log.mixed:
            break
    return log.damage


def _run(command: list[str], folder: Path, log: Log) -> tuple[Log, int]:
    """Run ffmpeg in `folder`; returns its messages and exit code."""
    with child(
        command,
        cwd=folder,  # so that the output is relative, and a % in the folder's name no pattern
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stderr is not None
        log.read(process.stderr)
    return log, process.returncode


def _command(video: Path, config: ExtractConfig, threads: int) -> list[str]:
    source = open_video(video, **_timing(config), **({"threads": threads} if threads else {}))
    stream = in_order(_filtered(source["v:0"], config).filter("showinfo", checksum=0))
    options: dict[str, object] = {**IN_ORDER, "start_number": 0, "f": "image2"}
    if config.format == "jpg":
        # Optimal tables need every frame coded twice; the pixels are the same.
        tables = "optimal" if config.optimize else "default"
        options |= {"c:v": "mjpeg", "qscale:v": config.quality, "huffman": tables}
    else:
        options |= {"c:v": "png", "pix_fmt": "rgb24"}
    if threads:
        options |= {"threads": threads}
    output = stream.output(f"%0{config.digits}d.{config.format}", **options)
    return output.global_args(*_GLOBAL).compile(cmd=ffmpeg_binary())


def _timing(config: ExtractConfig) -> dict[str, float]:
    """Options of the input for the part of the video to decode."""
    options = {"ss": config.start, "to": config.end}
    return {name: seconds for name, seconds in options.items() if seconds}


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

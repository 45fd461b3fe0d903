"""One overlay, written in the format of its settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import TglError
from stages.core.media.timed_video import end_time
from stages.tools.render.config import GIF, MOV, MP4, PNG, SHEET, WEBM
from stages.tools.render.drawing import DrawingConfig
from stages.tools.render.overlay import Overlay, video_side
from stages.tools.render.painting.painter import scaled_size
from stages.tools.render.source import RenderVideo
from stages.tools.render.writing.gifs import write_bounded_gif
from stages.tools.render.writing.images import write_frames, write_png
from stages.tools.render.writing.sound import Sound, find_sound
from stages.tools.render.writing.videos import (
    H264,
    PRORES,
    VP9,
    odd_size_note,
    write_mp4,
    write_transparent,
)

SUFFIXES = {MP4: ".mp4", GIF: ".gif", SHEET: ".png", PNG: "", WEBM: ".webm", MOV: ".mov"}
"""Of files by format; frames as PNGs are a folder."""
ENCODERS = {MP4: H264, WEBM: VP9, MOV: PRORES}
"""Encoders by format, of those that ffmpeg writes."""
# Data sets of images have no frame rate; that of MeViS is about this.
_UNKNOWN_FPS = 6.0


@dataclass(frozen=True)
class Written:
    """An overlay's file, or folder of frames.

    Attributes:
        frames: number of frames in it.
        note: a line about what could not be done as asked for; empty if there is nothing to say.
        silent: it lacks the sound that was asked for.
        reduced: it is a GIF with smaller or fewer frames than its video.
    """

    path: Path
    frames: int
    note: str = ""
    silent: bool = False
    reduced: bool = False


def write_overlay(
    overlay: Overlay, path: Path, source: Path | None, on_frame: Callable[[], None]
) -> Written:
    """Draw an overlay and write it.

    Args:
        path: of the file, or of the folder of frames.
        source: video with the sound to keep, or the folder of it.
        on_frame: called for every frame that is done.
    """
    written, count = overlay.config.file_format, len(overlay.video.frames)
    if written == SHEET:
        write_png(path, overlay.sheet(on_frame))
        return Written(path, frame_count(overlay))
    if written == GIF:
        return _write_gif(overlay, path, on_frame)
    size, frames = overlay.frames(on_frame)
    if written == PNG:
        write_frames(path, frames, [frame.stem for frame in overlay.video.frames])
        return Written(path, count)
    sound, note = _sound(overlay, path, source)
    write = write_mp4 if written == MP4 else write_transparent
    quality, timing = overlay.config.quality, _Timing.of(overlay)
    write(path, frames, size, timing.fps, quality, timing.uneven, sound)
    notes = [note, odd_size_note(size) if written == MP4 else ""]
    silent = overlay.config.keep_audio and sound is None
    return Written(path, count, "; ".join(filter(None, notes)), silent)


def frame_count(overlay: Overlay) -> int:
    """Number of frames of the video that an overlay goes through."""
    frames = len(overlay.video.frames)
    return min(overlay.config.cells, frames) if overlay.config.file_format == SHEET else frames


@dataclass(frozen=True)
class _Timing:
    """When an overlay's frames are shown.

    Attributes:
        fps: the constant rate, not used with:
        uneven: seconds of each frame and of the end, where the rate varies.
    """

    fps: float
    uneven: tuple[float, ...] | None

    @classmethod
    def of(cls, overlay: Overlay) -> _Timing:
        config, video = overlay.config, overlay.video
        uneven = None
        if video.times is not None and not config.fps:
            uneven = (*video.times, end_time(video.times))
        return cls(config.fps or video.fps or _UNKNOWN_FPS, uneven)

    def times(self, frames: int) -> Sequence[float]:
        """Seconds of each frame and of the end."""
        return self.uneven or [frame / self.fps for frame in range(frames + 1)]

    def seconds(self, frames: int) -> float:
        """Duration of the overlay."""
        times = self.times(frames)
        return times[-1] - times[0]


def _sound(overlay: Overlay, path: Path, source: Path | None) -> tuple[Sound | None, str]:
    """The sound to add, and a note where it is missing."""
    if source is None:
        return None, ""
    seconds = _Timing.of(overlay).seconds(len(overlay.video.frames))
    try:
        return find_sound(source, overlay.video, seconds, path.suffix), ""
    except TglError as error:
        # The name alone: tgl segment reads its video through a link in its work folder.
        return None, f"without sound: {Path(error.where or source).name}: {error.message}"


def _write_gif(overlay: Overlay, path: Path, on_frame: Callable[[], None]) -> Written:
    config, video = overlay.config, overlay.video
    timing, count = _Timing.of(overlay), len(video.frames)
    side = gif_side(video.height, video.width, config)
    steps = iter([on_frame] * count)

    def step() -> None:
        next(steps, lambda: None)()

    gif = write_bounded_gif(
        path,
        lambda smaller, chosen: overlay.frames(step, side=smaller, chosen=chosen),
        side,
        timing.times(count),
        fps=config.gif_fps,
        megabytes=config.gif_megabytes,
    )
    for left in steps:
        left()
    reduced = gif.frames < count or gif.side < video_side(video.height, video.width, config)
    note = _gif_note(overlay, gif.side, gif.frames, gif.megabytes)
    return Written(path, gif.frames, note, reduced=reduced)


def gif_side(height: int, width: int, config: DrawingConfig) -> int:
    """Shorter side of a GIF's frames at most, in pixels."""
    side = video_side(height, width, config)
    _, drawn = scaled_size(height, width, side)
    if not config.gif_width or drawn <= config.gif_width:
        return side
    return max(1, side * config.gif_width // drawn)


def _gif_note(overlay: Overlay, side: int, frames: int, megabytes: float) -> str:
    """A line about what was done to keep a GIF within its limits."""
    config, video = overlay.config, overlay.video
    asked = video_side(video.height, video.width, config)
    parts = []
    if side < asked:
        parts.append(f"{_size(video, side)} instead of {_size(video, asked)}")
    if frames < len(video.frames):
        parts.append(f"{frames} of {len(video.frames)} frames")
    note = f"the GIF has {', '.join(parts)}" if parts else ""
    if config.gif_megabytes and megabytes > config.gif_megabytes:
        over = f"it is {megabytes:.1f} MB, larger than {config.gif_megabytes:g}"
        return f"{note}; {over}" if note else over
    if note:
        note += f" ({megabytes:.1f} MB; see --gif-width, --gif-fps, --gif-megabytes)"
    return note


def _size(video: RenderVideo, side: int) -> str:
    height, width = scaled_size(video.height, video.width, side)
    return f"{width}x{height}"

"""The sound of a source video, added to a video of its frames."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import CorruptInput, MissingInput, TglError
from schemas.receipts import read_receipt
from stages.core.engine.digest import known_sha256
from stages.core.media.ffmpeg import ffmpeg_binary, open_video, require_encoders
from stages.tools.render.source import RenderVideo

_COPIED = {
    ".mp4": ("aac", "mp3", "ac3", "eac3", "alac"),
    ".webm": ("opus", "vorbis"),
    ".mov": ("aac", "alac", "pcm_s16le", "pcm_s24le"),
}
"""Codecs that players expect in a container; others are encoded."""
_ENCODED = {
    ".mp4": ("aac", "192k"),
    ".webm": ("libopus", "128k"),
    ".mov": ("aac", "192k"),
}
_AUDIO = re.compile(r"Stream #\d+:\d+[^\n]*?: Audio: (\w+)")
_DURATION = re.compile(r"Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")
_INPUT = "Input #0"
_EXTRACT_FRAMES = "extract-frames"
_TOLERANCE = 0.1
"""Seconds that the length of sound and frames may differ, or one and a half frames."""


@dataclass(frozen=True)
class Sound:
    """A part of a video's first audio stream.

    Attributes:
        codec: as ffmpeg names it.
        start, seconds: the part, from the video's beginning.
    """

    source: Path
    codec: str
    start: float
    seconds: float

    def stream(self) -> Any:
        """The part as a stream of ffmpeg-python."""
        part = {"ss": f"{self.start:.6f}"} if self.start > 0 else {}
        return open_video(self.source, **part, t=f"{self.seconds:.6f}")["a:0"]

    def options(self, suffix: str) -> dict[str, object]:
        """Options of an output with this suffix: the sound is copied where that is possible."""
        if self.codec in _COPIED[suffix]:
            return {"c:a": "copy", "flags:a": "+bitexact"}
        encoder, rate = _ENCODED[suffix]
        return {"c:a": encoder, "b:a": rate, "flags:a": "+bitexact"}

    def encoder(self, suffix: str) -> str | None:
        """The encoder that an output with this suffix needs; None where the sound is copied."""
        return None if self.codec in _COPIED[suffix] else _ENCODED[suffix][0]


@dataclass(frozen=True)
class SourceAudio:
    """The sound of a video, as its header describes it.

    Attributes:
        codec: of its first audio stream; None if it has none.
        seconds: duration of the video; None if it is not known.
    """

    codec: str | None
    seconds: float | None


def probe_audio(path: Path) -> SourceAudio:
    """Read the header of a video.

    Raises:
        CorruptInput: ffmpeg cannot open it.
    """
    nothing = open_video(path).output("pipe:", format="null", t=0)
    command = nothing.global_args("-hide_banner", "-nostdin").compile(cmd=ffmpeg_binary())
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    log = done.stderr.decode(errors="replace")
    if _INPUT not in log:
        lines = log.strip().splitlines()
        raise CorruptInput(f"ffmpeg cannot open it ({lines[-1] if lines else ''})", where=path)
    codec, length = _AUDIO.search(log), _DURATION.search(log)
    seconds = None
    if length is not None:
        hours, minutes, rest = length.groups()
        seconds = 3600 * int(hours) + 60 * int(minutes) + float(rest)
    return SourceAudio(None if codec is None else codec[1], seconds)


def find_sound(root: Path, video: RenderVideo, seconds: float, suffix: str) -> Sound:
    """Find the sound that belongs to the frames of a video.

    Args:
        root: the video file, or the folder of it.
        seconds: duration of the frames as they will be shown.
        suffix: of the file that gets the sound.

    Raises:
        TglError: it cannot be added; the message is the reason.
    """
    source = _source_of(root, video)
    audio = probe_audio(source)
    if audio.codec is None:
        raise MissingInput("has no sound", where=source)
    start = _start(source, video, seconds, audio.seconds)
    sound = Sound(source, audio.codec, start, seconds)
    if (encoder := sound.encoder(suffix)) is not None:
        require_encoders([encoder])
    return sound


def source_digest(root: Path, video: RenderVideo) -> str:
    """Digest of what the sound of a video depends on."""
    try:
        found = known_sha256(_source_of(root, video))
    except TglError as error:
        found = str(error)
    return f"{found} {video.span}"


def _source_of(root: Path, video: RenderVideo) -> Path:
    """The video file that the frames were extracted from.

    Raises:
        MissingInput: no file has the video's name, or several have.
        TglError: extract-frames recorded that it was another file.
    """
    found = [root]
    if root.is_dir():
        found = sorted(file for file in root.iterdir() if file.stem == video.video_id)
    if len(found) != 1 or not found[0].is_file():
        many = "several files are" if len(found) > 1 else "no file is"
        raise MissingInput(f"{many} called {video.video_id}.*", where=root)
    artifact = video.frames[0].parent.parent.parent
    receipt = read_receipt(artifact)
    recorded = None
    if receipt is not None and receipt.stage == _EXTRACT_FRAMES:
        recorded = receipt.inputs.get(video.video_id)
    if recorded is not None and known_sha256(found[0]) != recorded:
        raise TglError("is not the file that the frames were extracted from", where=found[0])
    return found[0]


def _start(source: Path, video: RenderVideo, seconds: float, length: float | None) -> float:
    """Time of the first frame in the source.

    Raises:
        TglError: it is not known, or the frames are shown at another speed than in the source.
    """
    tolerance = max(_TOLERANCE, 1.5 * seconds / len(video.frames))
    if video.span is None:
        if length is None or abs(length - seconds) > tolerance:
            raise TglError(
                f"the times of the frames in it are not known, and it is {length:g} s long, they "
                f"are {seconds:g} s"
                if length is not None
                else "its length is not known",
                where=source,
            )
        return 0.0
    start, end = video.span
    if abs(end - start - seconds) > tolerance:
        raise TglError(
            f"the frames take {end - start:g} s of it and are shown for {seconds:g} s", where=source
        )
    if length is not None and end > length + tolerance:
        raise TglError(f"is {length:g} s long, the frames end at {end:g} s", where=source)
    return start

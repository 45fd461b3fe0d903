"""The log of ffmpeg while it decodes: the video's header, a line for each frame, errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import CorruptInput, TglError, disk_full, says_disk_full
from schemas.wording import amount
from stages.core.media.ffmpeg import NOT_ONE_FILE

_FRAME = re.compile(r"\bn: *(\d+) pts: *(-?\d+|NOPTS) .*? s:(\d+)x(\d+) ")
# showinfo writes its lines piece by piece. If another thread logs in between, its message stands
# there without its level.
_SHOWINFO = re.compile(r"Parsed_showinfo\S* @ \S+\] \[info\] *(n:.*|color_range:.*)")
_WHOLE = re.compile(
    r"n: *\d+ pts:[^\[!]* type:\S *"
    r"|color_range:[\w-]+ color_space:[\w-]+ color_primaries:[\w-]+ color_trc:[\w-]+ *"
)
_TIME_BASE = re.compile(r"config in time_base: (\d+)/(\d+)")
_DURATION = re.compile(r"Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")
_RATE = re.compile(r"Video: .*?([\d.]+)(k?) (?:fps|tbr)")
_THOUSAND = 1000
_ERROR = re.compile(r"\[(?:error|fatal|panic)\] *(.*)")
# What an ffmpeg of any age prints after the real reason.
_CONCEALED = re.compile(r"\[warning\] *((?:\S+: )?corrupt (?:decoded frame|input packet).*)")
# Logged for intact frames: after a seek into an open group of pictures (GOP), and for metadata.
_HARMLESS = ("co located POCs unavailable", "mmco: unref short failure", "SEI type", "APP fields")
_NOISE = ("Task finished", "Terminating thread", "Conversion failed", "Error while")
_DECODING = "Stream mapping:"
"""Logged between the header and the first frame; errors before it are repeated later."""
# The description of the output is written piece by piece as well, while the decoder runs: a message
# in it stands without its level, and what follows begins in the middle of a line.
_UNNAMED = re.compile(r"\[info\] (.*)")
_BEGINNINGS = (_DECODING, "  ", "Input #", "Output #", "Press [q]", "frame=", "size=", "video:")
_NO_VIDEO = "matches no streams"


@dataclass(frozen=True)
class Stamp:
    """A filtered frame: its time (None if the container has none) and size."""

    seconds: float | None
    width: int
    height: int


class Log:
    """The messages of one run of ffmpeg at `-loglevel level+info`, with the filter showinfo.

    Args:
        on_frame: called for every frame.
        on_header: called once with the video's duration in seconds and its frame rate, if the
            header has them.

    Attributes:
        stamps: one per frame.
        errors: messages of level error and above.
        damage: messages about what could not be decoded as it was encoded: errors after the
            header, and frames or packets that ffmpeg calls corrupt.
        mixed: a message stands within another one, so that `damage` may lack it.
        seconds: the duration in the header.
        rate: the frames per second in the header.
    """

    def __init__(
        self,
        on_frame: Callable[[], None] | None = None,
        on_header: Callable[[float, float], None] | None = None,
    ):
        self.stamps: list[Stamp] = []
        self.errors: list[str] = []
        self._on_frame = on_frame
        self._on_header = on_header
        self._tick = 1, 1  # of the time stamps, in seconds: numerator and denominator
        self.damage: list[str] = []
        self.mixed = False
        self.seconds: float | None = None
        self.rate: float | None = None
        self._decoding = False

    def read(self, lines: Iterable[str]) -> Log:
        """Parse `lines` as they come."""
        for line in lines:
            self._read_frame(line)
            if found := _TIME_BASE.search(line):
                self._tick = int(found[1]), int(found[2])
            elif found := _ERROR.search(line):
                self.errors.append(found[1].strip())
                if self._decoding and not found[1].startswith(_HARMLESS):
                    self.damage.append(found[1].strip())
            elif found := _CONCEALED.search(line):
                self.damage.append(found[1].strip())
            else:
                found = _UNNAMED.match(line) if self._decoding else None
                self.mixed |= found is not None and not found[1].startswith(_BEGINNINGS)
                self._read_header(line)
        return self

    def _read_frame(self, line: str) -> None:
        if found := _FRAME.search(line):
            self.stamps.append(self._stamp(found))
            if self._on_frame is not None:
                self._on_frame()
        if found := _SHOWINFO.search(line):
            self.mixed |= _WHOLE.fullmatch(found[1].strip()) is None

    def _stamp(self, found: re.Match[str]) -> Stamp:
        # A quotient of whole numbers is rounded once, however large they are.
        known = found[2] != "NOPTS"
        seconds = int(found[2]) * self._tick[0] / self._tick[1] if known else None
        return Stamp(seconds, int(found[3]), int(found[4]))

    def _read_header(self, line: str) -> None:
        if _DECODING in line:
            self._decoding = True
        elif found := _DURATION.search(line):
            hours, minutes, seconds = (float(part) for part in found.groups())
            self.seconds = (hours * 60 + minutes) * 60 + seconds
        elif self.rate is None and (found := _RATE.search(line)):
            # Only once: later lines describe the frames that are written.
            self.rate = float(found[1]) * (_THOUSAND if found[2] else 1)
            if self._on_header is not None and self.seconds is not None:
                self._on_header(self.seconds, self.rate)


FAILURE_HINT = "copy or download it again"
DAMAGE_HINT = f"{FAILURE_HINT}, or keep what can be decoded with --keep-damaged"


def failure(errors: list[str], video: Path, folder: Path, *, hint: str = FAILURE_HINT) -> TglError:
    """The error for a `video` that ffmpeg could not decode into `folder`."""
    if any(map(says_disk_full, errors)):
        return disk_full(folder)
    if any(_NO_VIDEO in line for line in errors):
        return CorruptInput("has no video stream, only sound or subtitles", where=video)
    if any(NOT_ONE_FILE in line for line in errors):
        return CorruptInput(
            "is a playlist or another list of files, which tgl does not follow",
            where=video,
            hint="convert it to one video file with ffmpeg first",
        )
    return CorruptInput(f"cannot be decoded to its end ({_reason(errors)})", where=video, hint=hint)


def damage(messages: list[str], video: Path) -> CorruptInput:
    """The error for a `video` that was decoded with errors that ffmpeg concealed."""
    return CorruptInput(
        f"has {amount(len(messages), 'decoding errors')}, first: {messages[0].rstrip('.')}",
        where=video,
        hint=DAMAGE_HINT,
    )


def damage_warning(name: str, errors: int) -> str:
    """The warning of a video that is kept although it was decoded with errors."""
    return f"--keep-damaged: frames may be damaged in {name} ({amount(errors, 'errors')})"


def _reason(errors: list[str]) -> str:
    for line in errors:
        if line and not line.startswith(_NOISE):
            return line.rstrip(".")
    return "ffmpeg gave no reason"

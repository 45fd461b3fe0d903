"""What ffmpeg tells while it decodes: the video's header, a line for each frame, errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import CorruptInput, TglError, disk_full, says_disk_full
from stages.core.media.ffmpeg import NOT_ONE_FILE

_FRAME = re.compile(r"\] n: *(\d+) pts: *(-?\d+|NOPTS) .*? s:(\d+)x(\d+) ")
_TIME_BASE = re.compile(r"config in time_base: (\d+)/(\d+)")
_DURATION = re.compile(r"Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)")
_RATE = re.compile(r"Video: .*?([\d.]+)(k?) (?:fps|tbr)")
_THOUSAND = 1000
_ERROR = re.compile(r"\[(?:error|fatal|panic)\] *(.*)")
# What an ffmpeg of any age prints after the real reason.
_CONCEALED = re.compile(r"\[warning\] *((?:\S+: )?corrupt (?:decoded frame|input packet).*)")
# Said of frames that are whole: after a seek into an open group of pictures, and of metadata.
_HARMLESS = ("co located POCs unavailable", "mmco: unref short failure", "SEI type", "APP fields")
_NOISE = ("Task finished", "Terminating thread", "Conversion failed", "Error while")
_DECODING = "Stream mapping:"
"""What ffmpeg says between the header and the first frame; errors before it come again later."""
_NO_VIDEO = "matches no streams"


@dataclass(frozen=True)
class Stamp:
    """A frame that left the filters: its time (None if the container has none) and size."""

    seconds: float | None
    width: int
    height: int


class Log:
    """The messages of one run of ffmpeg at `-loglevel level+info`, with the filter showinfo.

    Args:
        on_frame: called for every frame.
        on_header: called once with the video's seconds and its frames a second, if it says them.

    Attributes:
        stamps: one per frame.
        errors: ffmpeg's messages of the level error and above.
        damage: messages about what could not be decoded as it was encoded: errors that came after
            the header, and frames or packets that ffmpeg calls corrupt.
        seconds: the length that the header names.
        rate: frames a second that the header names.
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
        self.seconds: float | None = None
        self.rate: float | None = None
        self._decoding = False

    def read(self, lines: Iterable[str]) -> Log:
        """Take in all `lines`, as they come."""
        for line in lines:
            if found := _FRAME.search(line):
                self.stamps.append(self._stamp(found))
                if self._on_frame is not None:
                    self._on_frame()
            elif found := _TIME_BASE.search(line):
                self._tick = int(found[1]), int(found[2])
            elif found := _ERROR.search(line):
                self.errors.append(found[1].strip())
                if self._decoding and not found[1].startswith(_HARMLESS):
                    self.damage.append(found[1].strip())
            elif found := _CONCEALED.search(line):
                self.damage.append(found[1].strip())
            else:
                self._read_header(line)
        return self

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
            # Once: what follows tells of the frames that are written.
            self.rate = float(found[1]) * (_THOUSAND if found[2] else 1)
            if self._on_header is not None and self.seconds is not None:
                self._on_header(self.seconds, self.rate)


def failure(errors: list[str], video: Path, folder: Path) -> TglError:
    """What to raise where ffmpeg gave up on `video` while it wrote to `folder`."""
    if any(map(says_disk_full, errors)):
        return disk_full(folder)
    if any(_NO_VIDEO in line for line in errors):
        return CorruptInput("holds no video, only sound or subtitles", where=video)
    if any(NOT_ONE_FILE in line for line in errors):
        return CorruptInput(
            "is a playlist or another list of files, which is not followed",
            where=video,
            hint="convert it to one video file with ffmpeg first",
        )
    return CorruptInput(
        f"cannot be decoded to its end ({_reason(errors)})",
        where=video,
        hint="copy or download it again",
    )


def damage(messages: list[str], video: Path) -> CorruptInput:
    """What to raise where `video` was decoded with errors that ffmpeg concealed."""
    count = f"{len(messages):,} decoding error{'' if len(messages) == 1 else 's'}"
    return CorruptInput(
        f"cannot be decoded without {count}, first: {messages[0].rstrip('.')}",
        where=video,
        hint="copy or download it again, or keep what can be decoded with "
        "tgl extract-frames --keep-damaged",
    )


def _reason(errors: list[str]) -> str:
    for line in errors:
        if line and not line.startswith(_NOISE):
            return line.rstrip(".")
    return "ffmpeg gave no reason"

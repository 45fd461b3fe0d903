"""Settings and inputs of extract-frames."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigError, MissingInput
from schemas.layouts import video_name
from stages.core.engine.digest import known_sha256
from stages.core.engine.runtime import usable_cores
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs
from stages.extract_frames.sources import not_a_file

BEST_QUALITY = 1
WORST_QUALITY = 31
REF_YOUTUBE_VOS = "ref-youtube-vos"


@dataclass(frozen=True)
class ExtractConfig(Settings):
    """Frames to take from each video, and their format."""

    fps: float = setting(
        0.0, "Resample to this frame rate; 0 keeps every frame.", panel="Frames", low=0
    )
    stride: int = setting(1, "Keep every N-th frame.", low=1)
    start: float = setting(0.0, "Start time in seconds.", low=0)
    end: float = setting(0.0, "End time in seconds; 0 is the end of the video.", low=0)
    short_side: int = setting(
        0, "Scale the shorter side to this many pixels; 0 keeps the size.", panel="Images", low=0
    )
    size: str | None = setting(None, "Scale to exactly WIDTHxHEIGHT pixels, such as 854x480.")
    format: str = setting("jpg", "Image format.", choices=("jpg", "png"))
    quality: int = setting(
        2,
        "JPEG quality on ffmpeg's scale, 1 (best) to 31.",
        low=BEST_QUALITY,
        high=WORST_QUALITY,
    )
    optimize: bool = setting(
        False,
        "Optimise the Huffman tables of each JPEG, as ffmpeg does by default: same pixels, 4 "
        "to 14% smaller, 10% slower.",
    )
    frame_names: str = setting(
        "mevis",
        "Numbers in file names: mevis and davis count the images written, ref-youtube-vos the "
        "video's frames (00000, 00005, ... with --stride 5).",
        panel="File names",
        choices=("mevis", "davis", REF_YOUTUBE_VOS),
    )
    keep_damaged: bool = setting(
        False,
        "Keep the frames of videos with decoding errors, and count the errors; else such "
        "videos fail.",
        panel="Frames",
    )
    digits: int = setting(
        5, "Digits in file names, as in 00000.jpg.", panel="File names", low=1, high=12
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size is not None and self.short_side:
            raise ConfigError(
                "cannot be combined with --short-side", where="--size", hint="give one of them"
            )
        self.exact_size()
        if self.end and self.end <= self.start:
            raise ConfigError(f"{self.end} is not after --start {self.start}", where="--end")

    def exact_size(self) -> tuple[int, int] | None:
        """(width, height) of `size`, None if it is not set.

        Raises:
            ConfigError: it is not WIDTHxHEIGHT.
        """
        if self.size is None:
            return None
        found = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", self.size)
        if found is None:
            raise ConfigError(f"{self.size!r} is not WIDTHxHEIGHT in pixels", where="--size")
        return int(found[1]), int(found[2])

    @property
    def number_step(self) -> int:
        """Difference of the numbers of consecutive frames in file names."""
        return self.stride if self.frame_names == REF_YOUTUBE_VOS else 1


@dataclass(frozen=True)
class ExtractInputs(Inputs):
    """The videos; each one's id is its file name without suffix."""

    videos: tuple[Path, ...]

    def by_id(self) -> dict[str, Path]:
        """Videos by id, in the order given.

        Raises:
            ConfigError: there is no video, or two have the same id.
            UnsafeName: a file name cannot be a folder name.
        """
        if not self.videos:
            raise ConfigError("no video given", where="VIDEO")
        found: dict[str, Path] = {}
        for path in self.videos:
            video_id = video_name(path.stem, where=path)
            if video_id in found:
                raise ConfigError(
                    f"has the same name as {found[video_id]}", where=path, hint="rename one of them"
                )
            found[video_id] = path
        return found

    def digests(self) -> dict[str, str]:
        """SHA-256 of every video, read in parallel."""
        videos = self.by_id()
        with ThreadPoolExecutor(usable_cores()) as pool:
            return dict(zip(videos, pool.map(_digest, videos.values()), strict=True))


def _digest(path: Path) -> str:
    """SHA-256 of a video.

    Raises:
        MissingInput: no such file, or it is a folder, a pipe, or a broken link.
    """
    if (fault := not_a_file(path)) is not None:
        raise MissingInput(fault, where=path)
    return known_sha256(path)

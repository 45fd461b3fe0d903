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
    """What is taken from each video, and how it is stored."""

    fps: float = setting(
        0.0, "Resample to this many frames a second; 0 keeps every frame as it is.", low=0
    )
    stride: int = setting(1, "Keep every n-th frame.", low=1)
    start: float = setting(0.0, "Seconds into the video at which to begin.", low=0)
    end: float = setting(0.0, "Seconds into the video at which to stop; 0 is its end.", low=0)
    short_side: int = setting(
        0, "Scale so that the shorter side has this many pixels; 0 keeps the size.", low=0
    )
    size: str | None = setting(
        None, "Exact size of the pictures in pixels as WIDTHxHEIGHT, for instance 854x480."
    )
    format: str = setting("jpg", "Picture format.", choices=("jpg", "png"))
    quality: int = setting(
        2,
        "JPEG quality on ffmpeg's scale, 1 (best) to 31.",
        low=BEST_QUALITY,
        high=WORST_QUALITY,
    )
    optimize: bool = setting(
        False,
        "Fit the Huffman tables to each JPEG, as ffmpeg does unless told otherwise: the same "
        "pixels in 4 to 14% fewer bytes, for a tenth more time.",
    )
    frame_names: str = setting(
        "mevis",
        "Numbers in the file names: mevis and davis count the pictures written; ref-youtube-vos "
        "counts the video's frames, so that --stride 5 gives 00000, 00005, 00010.",
        choices=("mevis", "davis", REF_YOUTUBE_VOS),
    )
    keep_damaged: bool = setting(
        False,
        "Keep the frames of a video with decoding errors, and count the errors; without it such "
        "a video fails.",
    )
    digits: int = setting(5, "Digits of a frame's file name, as in 00000.jpg.", low=1, high=12)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size is not None and self.short_side:
            raise ConfigError("excludes --short-side", where="--size", hint="give one of them")
        self.exact_size()
        if self.end and self.end <= self.start:
            raise ConfigError(f"{self.end} is not after --start {self.start}", where="--end")

    def exact_size(self) -> tuple[int, int] | None:
        """(width, height) of `size`, None where the size is not fixed.

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
        """From one picture's number in its file name to the next one's."""
        return self.stride if self.frame_names == REF_YOUTUBE_VOS else 1


@dataclass(frozen=True)
class ExtractInputs(Inputs):
    """The videos; each one's id is its file name without suffix."""

    videos: tuple[Path, ...]

    def by_id(self) -> dict[str, Path]:
        """Videos by id, in the order given.

        Raises:
            ConfigError: there is no video, or two have the same id.
            UnsafeName: a name cannot be a folder's.
        """
        if not self.videos:
            raise ConfigError("no video is named", where="VIDEO")
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
        """SHA-256 of every video, several read at a time."""
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

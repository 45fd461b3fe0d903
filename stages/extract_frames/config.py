"""Settings and inputs of extract-frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigError
from schemas.layouts import safe_name
from stages.engine.digest import file_digest
from stages.engine.settings import Settings, setting

BEST_QUALITY = 1
WORST_QUALITY = 31


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
    format: str = setting("jpg", "Picture format.", choices=("jpg", "png"))
    quality: int = setting(
        2,
        "JPEG quality on ffmpeg's scale, 1 (best) to 31.",
        low=BEST_QUALITY,
        high=WORST_QUALITY,
    )
    digits: int = setting(5, "Digits of a frame's file name, as in 00000.jpg.", low=1, high=12)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.end and self.end <= self.start:
            raise ConfigError(f"{self.end} is not after --start {self.start}", where="--end")


@dataclass(frozen=True)
class ExtractInputs:
    """The videos; each one's id is its file name without suffix."""

    videos: tuple[Path, ...]

    def by_id(self) -> dict[str, Path]:
        """Videos by id, in the order given.

        Raises:
            ConfigError: two videos have the same id.
            UnsafeName: a name cannot be a folder's.
        """
        found: dict[str, Path] = {}
        for path in self.videos:
            video_id = safe_name(path.stem, where=path)
            if video_id in found:
                raise ConfigError(
                    f"has the same name as {found[video_id]}", where=path, hint="rename one of them"
                )
            found[video_id] = path
        return found

    def digests(self) -> dict[str, str]:
        """SHA-256 of every video."""
        return {video_id: file_digest(path) for video_id, path in self.by_id().items()}

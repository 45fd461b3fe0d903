"""Settings and inputs of render."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigError
from schemas.layouts import VIDEOS_TABLE
from stages.core.engine.digest import file_digest, tree_digest
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs
from stages.core.index.frame_files import frame_folders, index_digest

FORMATS = ("mp4", "gif", "sheet")
BEST_QUALITY = 0
WORST_QUALITY = 51
SMALLEST_SIDE = 64
LARGEST_SIDE = 4320


@dataclass(frozen=True)
class RenderConfig(Settings):
    """Format, size and style of the overlays."""

    format: str = setting(
        "mp4",
        "mp4: a video; gif: an animated GIF; sheet: a PNG with a grid of frames.",
        choices=FORMATS,
    )
    compare: str = setting(
        "auto",
        "truth: a file per sentence, prediction against ground truth; sentences: all sentences of "
        "a video in one file, each in its colour; auto: truth if the index has masks.",
        choices=("auto", "truth", "sentences"),
    )
    short_side: int = setting(
        0,
        "Shorter side of the drawn frames in pixels; 0 scales small videos up and very large ones "
        "down.",
        low=0,
        high=LARGEST_SIDE,
    )
    cells: int = setting(8, "Frames per sheet, spread evenly over the video.", low=1, high=200)
    columns: int = setting(4, "Frames per row of a sheet.", low=1, high=50)
    fps: float = setting(
        0.0, "Frames per second of an mp4 or GIF; 0 is the video's own rate.", low=0, high=240
    )
    opacity: float = setting(
        0.5, "Opacity of the masks, from 0 (outline only) to 1.", low=0, high=1
    )
    quality: int = setting(
        18,
        "Constant rate factor of an mp4: 0 is lossless, 18 nearly so, 51 the smallest file.",
        low=BEST_QUALITY,
        high=WORST_QUALITY,
    )
    sentences: int = setting(6, "Sentences per file with --compare sentences.", low=1, high=50)
    only: tuple[str, ...] = setting((), "Draw only this VIDEO or VIDEO/EXPRESSION (repeatable).")
    limit: int = setting(0, "Draw at most this many expressions; 0 draws all.", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.short_side < SMALLEST_SIDE:
            raise ConfigError(
                f"{self.short_side} is too small to read, expected at least {SMALLEST_SIDE}",
                where="--short-side",
            )


@dataclass(frozen=True)
class RenderInputs(Inputs):
    """Predictions, and the frames to draw them on.

    Attributes:
        preds: `<video>/<expression id>/<frame>.png`, as propagate writes them.
        frames: an index, or a bare folder of frames (an artifact of extract-frames,
            `<video>/<frame>.jpg`, or the frames of a single video).
        font: a TrueType or OpenType file for scripts that the built-in Latin font lacks.
    """

    preds: Path
    frames: Path
    font: Path | None = None

    @property
    def has_index(self) -> bool:
        """Whether `frames` is an index."""
        return (self.frames / VIDEOS_TABLE).is_file()

    def digests(self) -> dict[str, str]:
        """Digests of the predictions, of the index or the folder of frames, and of the font."""
        found = {
            "preds": tree_digest(self.preds),
            "frames": index_digest(self.frames) if self.has_index else tree_digest(self.frames),
        }
        if self.font is not None:
            found["font"] = file_digest(self.font)
        return found

    def paths(self) -> list[Path]:
        """Named paths, and the frames that an index points to."""
        return [*super().paths(), *(frame_folders(self.frames) if self.has_index else ())]

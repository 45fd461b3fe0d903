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
MOST_TOGETHER = 50


@dataclass(frozen=True)
class RenderConfig(Settings):
    """Format, size and style of the overlays."""

    format: str = setting(
        "mp4",
        "A video, an animated GIF, or a sheet of frames as one PNG.",
        panel="Rendering",
        choices=FORMATS,
    )
    compare: str = setting(
        "auto",
        "truth: one image per sentence, prediction and ground truth; sentences: all together, "
        "one colour each; auto: truth if the index has masks.",
        choices=("auto", "truth", "sentences"),
    )
    short_side: int = setting(
        0,
        "Shorter side of a frame in pixels; 0 enlarges small videos and shrinks very large ones.",
        low=0,
        high=LARGEST_SIDE,
    )
    cells: int = setting(8, "Frames on a sheet, evenly spaced.", low=1, high=200)
    columns: int = setting(4, "Columns of a sheet.", low=1, high=50)
    fps: float = setting(
        0.0, "Frame rate of the video or GIF; 0 is the source's rate.", low=0, high=240
    )
    opacity: float = setting(0.5, "Opacity of masks, from 0 (outline only) to 1.", low=0, high=1)
    quality: int = setting(
        18,
        "Constant rate factor (CRF) of the video: 0 is lossless, 18 nearly so, 51 the "
        "smallest file.",
        low=BEST_QUALITY,
        high=WORST_QUALITY,
    )
    sentences: int = setting(
        6,
        "Most sentences in one image when they are drawn together.",
        low=1,
        high=MOST_TOGETHER,
    )
    only: tuple[str, ...] = setting(
        (), "Draw only this VIDEO, or VIDEO/EXPRESSION; may be repeated.", panel="Selection"
    )
    limit: int = setting(0, "Draw at most this many expressions; 0 draws all.", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.short_side < SMALLEST_SIDE:
            raise ConfigError(
                f"{self.short_side} is less than {SMALLEST_SIDE}, too small to read",
                where="--short-side",
            )


@dataclass(frozen=True)
class RenderInputs(Inputs):
    """Predictions and what they are drawn on.

    Attributes:
        preds: `<video>/<expression id>/<frame>.png`, as propagate writes them.
        frames: an index, or a bare folder of frames (an artifact of extract-frames,
            `<video>/<frame>.jpg`, or the frames of a single video).
        font: a TrueType or OpenType file for scripts that the default font lacks.
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

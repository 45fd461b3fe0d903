"""Settings and inputs of render."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigError
from schemas.layouts import VIDEOS_TABLE
from stages.core.engine.digest import file_digest, tree_digest
from stages.core.engine.settings import setting
from stages.core.engine.stage import Inputs
from stages.core.index.frame_files import frame_folders, index_digest
from stages.tools.render.drawing import CUTOUT, DrawingConfig

AUTO, MP4, GIF, SHEET, PNG, WEBM, MOV = "auto", "mp4", "gif", "sheet", "png", "webm", "mov"
FORMATS = (AUTO, MP4, GIF, SHEET, PNG, WEBM, MOV)
TRANSPARENT = (PNG, WEBM, MOV)
"""Formats of cut-outs."""
WITH_SOUND = (MP4, WEBM, MOV)
MOST_TOGETHER = 50


@dataclass(frozen=True)
class RenderConfig(DrawingConfig):
    """Format of the overlays, what they show together, and which are drawn."""

    format: str = setting(
        AUTO,
        "mp4, an animated gif, a sheet of frames as one PNG, or a png per frame; for a cut-out "
        "png, webm (VP9) or mov (ProRes 4444). auto: mp4, for a cut-out png.",
        panel="Overlay",
        choices=FORMATS,
    )
    compare: str = setting(
        "auto",
        "truth: one image per sentence, prediction and ground truth; sentences: all together, "
        "one colour each; auto: truth if the index has masks. A cut-out shows one sentence, with "
        "sentences all of them.",
        choices=("auto", "truth", "sentences"),
    )
    cells: int = setting(8, "Frames on a sheet, evenly spaced.", low=1, high=200)
    columns: int = setting(4, "Columns of a sheet.", low=1, high=50)
    fps: float = setting(
        0.0, "Frame rate of the video or GIF; 0 is the source's rate.", low=0, high=240
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
        written = self.file_format
        if self.style == CUTOUT and written not in TRANSPARENT:
            raise ConfigError(
                f"{written} cannot be transparent",
                where="--format",
                hint=f"a cut-out is {', '.join(TRANSPARENT[:-1])} or {TRANSPARENT[-1]}",
            )
        if self.style != CUTOUT and written in (WEBM, MOV):
            raise ConfigError(f"{written} is for --style cutout", where="--format")
        if self.style == CUTOUT and self.compare == "truth":
            raise ConfigError("a cut-out shows predictions alone", where="--compare")
        if self.keep_audio and written not in WITH_SOUND:
            raise ConfigError(f"{written} has no sound", where="--keep-audio")

    @property
    def file_format(self) -> str:
        """The format that is written, where `format` leaves it open."""
        if self.format == AUTO:
            return PNG if self.style == CUTOUT else MP4
        return self.format


@dataclass(frozen=True)
class RenderInputs(Inputs):
    """Predictions and what they are drawn on.

    Attributes:
        preds: `<video>/<expression id>/<frame>.png`, as propagate writes them.
        frames: an index, or a bare folder of frames (an artifact of extract-frames,
            `<video>/<frame>.jpg`, or the frames of a single video).
        font: a TrueType or OpenType file for scripts that the default font lacks.
        source: the video that the frames were extracted from, or a folder of such videos.
    """

    preds: Path
    frames: Path
    font: Path | None = None
    source: Path | None = None

    @property
    def has_index(self) -> bool:
        """Whether `frames` is an index."""
        return (self.frames / VIDEOS_TABLE).is_file()

    def digests(self) -> dict[str, str]:
        """Digests of the predictions, the index or folder of frames, the font and the source."""
        found = {
            "preds": tree_digest(self.preds),
            "frames": index_digest(self.frames) if self.has_index else tree_digest(self.frames),
        }
        if self.font is not None:
            found["font"] = file_digest(self.font)
        if self.source is not None:
            folder = self.source.is_dir()
            found["source"] = tree_digest(self.source) if folder else file_digest(self.source)
        return found

    def paths(self) -> list[Path]:
        """Named paths, and the frames that an index points to."""
        return [*super().paths(), *(frame_folders(self.frames) if self.has_index else ())]

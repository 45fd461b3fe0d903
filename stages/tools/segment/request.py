"""A request to `tgl segment` and its result, for frames in files and for streams."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigError, TglError
from stages.core.engine.outputs import refuse_inputs, replaceable
from stages.core.model.loading.hub import local_folder
from stages.tools.render.config import RenderConfig

STDIN = "-"
MASKS_STAGE = "propagate"
"""The stage that writes the folder of masks."""
JSON = ".json"
TABLE_SUFFIXES = (JSON, ".parquet")


@dataclass(frozen=True)
class SegmentRequest:
    """Frames, sentences, a model, and where to write the results.

    Attributes:
        source: a video, an image, a folder of frames, or `-` for raw video.
        sentences: what to segment.
        out: the overlay.
        rendering: its `fps` is also the frame rate of raw video.
        checkpoint: of tgl train.
        masks: folder for PNG masks, if wanted.
        table: file for moments and masks, if wanted.
        font: for sentences that are not in Latin letters.
        size: of raw video, `WIDTHxHEIGHT`.
        encoder: a folder or hub id to use instead of the text encoder named in the checkpoint.
        work: folder that keeps the artifacts of every stage, if wanted.
        keep_damaged: continue with a video that has decoding errors.
        warnings: to show first.
    """

    source: Path
    sentences: tuple[str, ...]
    out: Path
    rendering: RenderConfig
    checkpoint: Path
    masks: Path | None = None
    table: Path | None = None
    font: Path | None = None
    size: str | None = None
    encoder: str | None = None
    work: Path | None = None
    keep_damaged: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def from_stdin(self) -> bool:
        """Whether the frames come as raw video on standard input."""
        return str(self.source) == STDIN

    @property
    def work_path(self) -> Path:
        """Folder of the stages' artifacts; removed at the end unless the user named it."""
        return self.work or self.out.with_name(f".{self.out.name}.segment")

    def inputs(self) -> list[Path]:
        """Paths that the command reads, which no output may replace."""
        source = None if self.from_stdin else self.source
        encoder = None if self.encoder is None else local_folder(self.encoder)
        named = (source, self.checkpoint, self.font, encoder)
        return [path for path in named if path is not None]

    def check_folders(self, *, force: bool) -> None:
        """Check the folders of masks and of work before anything is done.

        Raises:
            OutputBlocked: one is or contains an input, or files that tgl did not write.
        """
        for folder in (self.masks, self.work):
            if folder is not None:
                refuse_inputs(folder, self.inputs())
        if self.masks is not None:
            replaceable(self.masks, MASKS_STAGE, force=force)

    def protected(self) -> list[Path]:
        """Inputs, and the folders of masks and of work, which may not contain other outputs."""
        return [*self.inputs(), *(path for path in (self.masks, self.work) if path is not None)]

    def outputs(self) -> list[Path]:
        """Paths of the results, as the user named them."""
        return [path for path in (self.out, self.masks, self.table) if path is not None]


def check_suffix(table: Path) -> None:
    """Raise ConfigError unless a table's name ends in .json or .parquet."""
    if table.suffix not in TABLE_SUFFIXES:
        raise ConfigError(
            f"{table.name!r} does not end in {' or '.join(TABLE_SUFFIXES)}", where="--table"
        )


@dataclass(frozen=True)
class SegmentResult:
    """Result of a run of `tgl segment`.

    Attributes:
        lines: one per sentence: its moments, and the number of frames with a mask.
        frames: number of frames that were segmented.
        failure: error that ended a stream early; the frames before it are written.
    """

    lines: tuple[str, ...]
    frames: int
    failure: TglError | None = None

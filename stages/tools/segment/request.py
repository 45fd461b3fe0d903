"""What a user asks of `tgl segment`, whether its frames are at hand or come once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.errors import TglError
from stages.core.engine.outputs import refuse_inputs, replaceable
from stages.core.model.hub import local_folder
from stages.tools.render.config import RenderConfig

STDIN = "-"
MASKS_STAGE = "propagate"
"""The stage whose artifact the folder of masks is."""


@dataclass(frozen=True)
class SegmentRequest:
    """What the user typed: frames, sentences, a model, and where the results go.

    Attributes:
        source: a video, a picture, a folder of pictures, or `-` for raw video.
        sentences: what to segment.
        out: the overlay.
        rendering: its `fps` is also the rate of raw video.
        checkpoint: of tgl train.
        masks: folder for PNG masks, if wanted.
        table: file for moments and masks, if wanted.
        font: for sentences that are not in Latin letters.
        size: of raw video, `WIDTHxHEIGHT`.
        encoder: a folder or hub id that stands for the one named in the checkpoint.
        work: where to keep the work of every stage, if wanted.
        warnings: to be shown first.
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
    warnings: tuple[str, ...] = ()

    @property
    def place(self) -> Path:
        """Folder of the stages' work; removed at the end unless the user named it."""
        return self.work or self.out.with_name(f".{self.out.name}.segment")

    def inputs(self) -> list[Path]:
        """What the command reads, which no output may replace."""
        named = [self.source, self.checkpoint, self.font]
        encoder = None if self.encoder is None else local_folder(self.encoder)
        return [path for path in (*named, encoder) if path is not None and str(path) != STDIN]

    def check_folders(self, *, force: bool) -> None:
        """Check the folders of masks and of work before anything is done.

        Raises:
            OutputBlocked: one is or holds an input, or holds what tgl did not write.
        """
        for folder in (self.masks, self.work):
            if folder is not None:
                refuse_inputs(folder, self.inputs())
        if self.masks is not None:
            replaceable(self.masks, MASKS_STAGE, force=force)

    def protected(self) -> list[Path]:
        """Inputs, and the folders of masks and of work, in which no single file may lie."""
        return [*self.inputs(), *(path for path in (self.masks, self.work) if path is not None)]

    def outputs(self) -> list[Path]:
        """Where the results go, as the user named them."""
        return [path for path in (self.out, self.masks, self.table) if path is not None]


@dataclass(frozen=True)
class SegmentResult:
    """What a run of `tgl segment` found.

    Attributes:
        lines: one for each sentence: when it holds, and in how many frames there is a mask.
        frames: number of frames that were segmented.
        failure: why a stream broke off; what had come is written.
    """

    lines: tuple[str, ...]
    frames: int
    failure: TglError | None = None

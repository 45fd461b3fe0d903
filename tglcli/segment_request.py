"""What a user asks of `tgl segment`, whether its frames are at hand or come once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from schemas.wording import amount
from stages.render.config import RenderConfig
from tglcli.summary import duration, shown

STDIN = "-"


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

    def summary(self, frames: int, seconds: float) -> str:
        """The last line that is printed."""
        written = (self.out, self.masks, self.table)
        paths = ", ".join(shown(path) for path in written if path is not None)
        return f"segment: done in {duration(seconds)}: {amount(frames, 'frames')} -> {paths}"

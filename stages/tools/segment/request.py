"""A request to `tgl segment` and its result, for frames in files and for streams."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigError, TglError
from schemas.wording import amount
from stages.core.engine.outputs import refuse_inputs, replaceable
from stages.core.model.loading.hub import local_folder
from stages.tools.render.config import MOST_TOGETHER, RenderConfig
from stages.tools.segment.prompts.records import MaskImage, Prompt

STDIN = "-"
CHECKPOINT, PROMPTS, ZERO_SHOT = "checkpoint", "prompts", "zero-shot"
"""Ways from a video to masks: a trained model; prompts by hand and a tracker; public models."""
JSON, CSV = ".json", ".csv"
TABLE_SUFFIXES = (JSON, CSV, ".parquet")


@dataclass(frozen=True)
class SegmentRequest:
    """Frames, what to segment in them, a model, and where to write the results.

    Attributes:
        source: a video, an image, a folder of frames, or `-` for raw video.
        sentences: what to segment; none with prompts.
        out: the overlay.
        rendering: its `fps` is also the frame rate of raw video.
        checkpoint: `toy`, or folder or hub id of a trained model, if one was named.
        prompts: where the objects are, if the user says it.
        models: local folders of the models to use without a checkpoint.
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
    checkpoint: str | None = None
    prompts: tuple[Prompt, ...] = ()
    models: tuple[Path, ...] = ()
    masks: Path | None = None
    table: Path | None = None
    font: Path | None = None
    size: str | None = None
    encoder: str | None = None
    work: Path | None = None
    keep_damaged: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def way(self) -> str:
        """The way to the masks."""
        if self.prompts:
            return PROMPTS
        return ZERO_SHOT if self.checkpoint is None else CHECKPOINT

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
        folders = (name and local_folder(name) for name in (self.checkpoint, self.encoder))
        drawn = [prompt.mask for prompt in self.prompts if isinstance(prompt, MaskImage)]
        named = (source, self.font, *folders, *self.models, *drawn)
        return [path for path in named if isinstance(path, Path)]

    def check_folders(self, masks_stage: str, *, force: bool) -> None:
        """Check the folders of masks and of work before anything is done.

        Args:
            masks_stage: the stage that will write the masks.

        Raises:
            OutputBlocked: one is or contains an input, or files that tgl did not write.
        """
        for folder in (self.masks, self.work):
            if folder is not None:
                refuse_inputs(folder, self.inputs())
        if self.masks is not None:
            replaceable(self.masks, masks_stage, force=force)

    def check_sentences(self) -> None:
        """Raise ConfigError for an empty sentence, none, or more than one overlay can show."""
        check_sentences(self.sentences)

    def as_named(self, path: Path) -> Path:
        """An input as the user named it, by its path with links resolved."""
        known = {os.path.realpath(named): named for named in self.inputs()}
        return known.get(str(path), path)

    def owner(self, path: Path) -> Path | None:
        """The user's file that a file in the work folder was made of; None if it is not known."""
        return self.source

    def protected(self) -> list[Path]:
        """Inputs, and the folders of masks and of work, which may not contain other outputs."""
        return [*self.inputs(), *(path for path in (self.masks, self.work) if path is not None)]

    def outputs(self) -> list[Path]:
        """Paths of the results, as the user named them."""
        return [path for path in (self.out, self.masks, self.table) if path is not None]


def check_suffix(table: Path) -> None:
    """Raise ConfigError unless a table's name ends in .json, .csv or .parquet."""
    if table.suffix not in TABLE_SUFFIXES:
        raise ConfigError(
            f"{table.name!r} does not end in {', '.join(TABLE_SUFFIXES)}", where="--table"
        )


def check_sentences(sentences: Sequence[str], *, of: str = "") -> None:
    """Raise ConfigError for an empty sentence, a path, none, or more than one overlay can show.

    Args:
        of: the video, where there are several.
    """
    if not sentences or not all(sentence.strip() for sentence in sentences):
        raise ConfigError("is empty", where="SENTENCE", hint="describe what to segment")
    for word in sentences:
        path = Path(word)
        if (path.suffix or path.name != word) and os.path.lexists(word):  # False if it is too long
            raise ConfigError(
                "is a file or folder, not a sentence; name several videos with --videos", where=word
            )
    if len(sentences) > MOST_TOGETHER:
        raise ConfigError(
            f"{amount(len(sentences), 'sentences')}{of and f' of {of}'} are more than "
            f"{MOST_TOGETHER}",
            where="SENTENCE",
            hint="run the command several times with the same --work",
        )


@dataclass(frozen=True)
class SegmentResult:
    """Result of a run of `tgl segment`.

    Attributes:
        lines: one per sentence or object: its moments, and the number of frames with a mask.
        frames: number of frames that were segmented.
        failure: error that ended a stream early; the frames before it are written.
    """

    lines: tuple[str, ...]
    frames: int
    failure: TglError | None = None

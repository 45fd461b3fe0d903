"""All stages in one go: from a video and sentences of one's own to masks and a picture.

Every step is the stage itself, run by execute() below one work folder: a run that was interrupted
goes on where it was, and new sentences about the same video reuse its frames.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.directories import remove_tree, write_text_atomic
from schemas.errors import ConfigError, MissingInput, OutputBlocked, TglError
from schemas.layouts import RECEIPT_FILE
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.precompute_text.config import HASH_ENCODER, TextConfig, TextInputs, local_encoder
from stages.propagate.config import PropagateConfig, PropagateInputs
from stages.tools.render.config import RenderConfig, RenderInputs
from stages.tools.segment.media import Media, link_video, place_pictures, write_sentences

if TYPE_CHECKING:
    from stages.core.engine.execute import Outcome
    from stages.core.engine.stage import Stage

WORK_MARK = "segment.json"
"""In every folder of work, so that none is taken for one that is the user's."""
_MARK_TEXT = '{"format": "tgl-segment-work", "version": 1}\n'
_UNKNOWN_ENCODER = "unknown"
_POOLING = " pooling"


@dataclass(frozen=True)
class Artifacts:
    """Where the pipeline's artifacts are.

    Attributes:
        masks: what propagate came to; held back where the user wanted the masks.
    """

    index: Path
    masks: Outcome
    pictures: Path


@dataclass(frozen=True)
class Pipeline:
    """The stages with the folder they work in.

    Attributes:
        work: for the artifacts between the stages.
        force: work anew in every stage.
    """

    work: Path
    runtime: Runtime
    progress: Progress
    force: bool = False

    def segment(
        self,
        media: Media,
        sentences: Sequence[str],
        *,
        checkpoint: Path,
        text: TextConfig,
        propagation: PropagateConfig,
        rendering: RenderConfig,
        masks: Path | None = None,
        font: Path | None = None,
    ) -> Artifacts:
        """Decode, index, encode the sentences, find the masks, draw them.

        Raises:
            ConfigError: there is no sentence, or an empty one.
            TglError: as the stages raise them.
        """
        check_sentences(sentences)
        index = self._index(media, sentences)
        texts = self._texts(index, text)
        found = self._propagate(
            PropagateInputs(index, texts, checkpoint), propagation, masks or self.work / "masks"
        )
        pictures = self.work / "pictures"
        self._render(RenderInputs(found.path, index, font), rendering, pictures)
        return Artifacts(index, found, pictures)

    def texts_of(self, video_id: str, sentences: Sequence[str], config: TextConfig) -> Path:
        """Encode sentences about a video that has not come yet; the folder of their texts.

        Raises:
            ConfigError: there is no sentence, or an empty one.
        """
        from schemas.layouts import EXPRESSIONS_TABLE
        from schemas.parquet import rows_of, write_table
        from schemas.tables import EXPRESSIONS

        check_sentences(sentences)
        folder = self.work / "sentences"
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            {
                "video_id": video_id,
                "expression_id": str(number),
                "expression": text,
                "object_ids": [],
                "anno_ids": [],
            }
            for number, text in enumerate(sentences)
        ]
        write_table(folder / EXPRESSIONS_TABLE, rows_of(rows, EXPRESSIONS), EXPRESSIONS)
        return self._texts(folder, config)

    def _index(self, media: Media, sentences: Sequence[str]) -> Path:
        from stages.build_moments.stage import STAGE

        dataset = self.work / "dataset"
        frames = None
        if media.video is None:
            names = place_pictures(media, dataset)
        else:
            frames = self._frames(media)
            names = _frame_names(frames)
        write_sentences(dataset, media.video_id, names, sentences)
        inputs = IndexInputs(dataset, frames=frames)
        self._run(STAGE, IndexConfig(layout="mevis"), inputs, self.work / "index")
        return self.work / "index"

    def _frames(self, media: Media) -> Path:
        from stages.extract_frames.stage import STAGE

        video = link_video(media, self.work / "source")
        self._run(STAGE, ExtractConfig(), ExtractInputs((video,)), self.work / "frames")
        return self.work / "frames"

    def _texts(self, index: Path, config: TextConfig) -> Path:
        from stages.precompute_text.stage import STAGE

        inputs = TextInputs(index, local_encoder(config.encoder))
        outcome = self._run(STAGE, config, inputs, self.work / "text")
        cut = int(outcome.counts.get("cut to max-tokens", 0))
        if cut:
            self.progress.warn(f"{cut} sentences are longer than the encoder reads; they were cut")
        return self.work / "text"

    def _propagate(self, inputs: PropagateInputs, config: PropagateConfig, out: Path) -> Outcome:
        from stages.propagate.stage import STAGE

        return self._run(STAGE, config, inputs, out, hold=True)

    def _render(self, inputs: RenderInputs, config: RenderConfig, out: Path) -> None:
        from stages.tools.render.stage import STAGE

        self._run(STAGE, config, inputs, out)

    def _run(
        self, stage: Stage[Any, Any], config: Any, inputs: Any, out: Path, *, hold: bool = False
    ) -> Outcome:
        """Execute a stage; the failure of the only video ends the run with its own exit code."""
        from stages.core.engine.execute import execute

        return execute(
            stage,
            config,
            inputs,
            out,
            runtime=self.runtime,
            progress=self.progress,
            force=self.force,
            hold=hold,
        )


@contextmanager
def work_folder(
    folder: Path, source: Path, *, inputs: Sequence[Path], kept: bool, force: bool
) -> Iterator[None]:
    """Let the stages work in `folder`; errors in there name the user's own file.

    Args:
        source: the user's video, picture or folder of pictures.
        inputs: of the command.
        kept: the user named the folder; else it is removed at the end, and after an error unless
            something in it is finished.
        force: take a folder that is not empty and was never one of work.

    Raises:
        OutputBlocked: it is or holds an input, or holds what tgl did not write.
    """
    from stages.core.engine.outputs import FORCE, refuse_inputs

    refuse_inputs(folder, inputs)
    mark = folder / WORK_MARK
    if folder.exists() and not force and not mark.is_file() and any(folder.iterdir()):
        raise OutputBlocked("holds files that tgl did not write", where=folder, hint=FORCE)
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomic(mark, _MARK_TEXT)
    try:
        yield
    except TglError as error:
        if error.where is not None and folder in Path(error.where).parents:
            users_own = Path(os.path.realpath(error.where))  # where it is a link to it
            inside = Path(os.path.realpath(folder)) in users_own.parents
            error.relocate(source if inside else users_own)
        raise
    else:
        if not kept:
            remove_tree(folder)
    finally:
        if not kept and folder.is_dir() and not any(folder.rglob(RECEIPT_FILE)):
            remove_tree(folder)


def check_sentences(sentences: Sequence[str]) -> None:
    """Raise ConfigError if there is no sentence, or an empty one."""
    if not sentences or not all(sentence.strip() for sentence in sentences):
        raise ConfigError("is empty", where="SENTENCE", hint="say what is to be segmented")


def text_config(checkpoint: Path, encoder: str | None) -> TextConfig:
    """How the sentences must be encoded for a checkpoint.

    Args:
        encoder: a folder or hub id that stands for the one named in the checkpoint.

    Raises:
        MissingInput: neither says which encoder that is.
    """
    from stages.core.model.checkpoint import read_document, text_dim, text_encoder

    document = read_document(checkpoint)
    trained, _, pooling = text_encoder(document).rpartition(", ")
    pooling = pooling.removesuffix(_POOLING)
    name = encoder or trained
    if not name or name == _UNKNOWN_ENCODER:
        raise MissingInput(
            "does not say which text encoder it was trained with",
            where=checkpoint,
            hint="name it with --encoder",
        )
    settings: dict[str, Any] = {"encoder": name}
    if trained:
        settings["pooling"] = pooling
    if name == HASH_ENCODER:
        settings["dim"] = text_dim(document)
    return TextConfig(**settings)


def copy_overlay(rendered: Path, video_id: str, target: Path) -> None:
    """Copy the only overlay of a render artifact to where the user wants it."""
    (overlay,) = (rendered / video_id).iterdir()
    shutil.copyfile(overlay, target)


def _frame_names(frames: Path) -> list[str]:
    from schemas.layouts import FRAMES_TABLE
    from schemas.parquet import read_table
    from schemas.tables import FRAMES

    columns = ["video_id", "frame", "name"]
    table = read_table(frames / FRAMES_TABLE, FRAMES, columns=columns).sort_by("frame")
    return table.column("name").to_pylist()

"""All stages in one go: from a video and sentences of one's own to masks and a picture.

Every step is the stage itself, run by execute() below one work folder: a run that was interrupted
goes on where it was, and new sentences about the same video reuse its frames.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import ConfigError, CorruptInput, MissingInput
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.engine.progress import Progress
from stages.engine.runtime import Runtime
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.precompute_text.config import HASH_ENCODER, TextConfig, TextInputs, local_encoder
from stages.propagate.config import PropagateConfig, PropagateInputs
from stages.render.config import RenderConfig, RenderInputs
from tglcli.media import Media, link_video, place_pictures, write_sentences

if TYPE_CHECKING:
    from stages.engine.execute import Outcome
    from stages.engine.stage import Stage

_UNKNOWN_ENCODER = "unknown"
_POOLING = " pooling"


@dataclass(frozen=True)
class Artifacts:
    """Where the pipeline's artifacts are.

    Attributes:
        masks: the artifact of propagate, wherever the user wanted it.
    """

    index: Path
    masks: Path
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
        preds = masks or self.work / "masks"
        self._propagate(index, texts, checkpoint, propagation, preds)
        pictures = self.work / "pictures"
        self._render(RenderInputs(preds, index, font), rendering, pictures)
        return Artifacts(index, preds, pictures)

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
        try:
            self._run(STAGE, ExtractConfig(), ExtractInputs((video,)), self.work / "frames")
        except CorruptInput as error:  # of the link, which nobody knows
            raise CorruptInput(error.message, where=media.video, hint=error.hint) from error
        return self.work / "frames"

    def _texts(self, index: Path, config: TextConfig) -> Path:
        from stages.precompute_text.stage import STAGE

        inputs = TextInputs(index, local_encoder(config.encoder))
        outcome = self._run(STAGE, config, inputs, self.work / "text")
        cut = int(outcome.counts.get("cut to max-tokens", 0))
        if cut:
            self.progress.warn(f"{cut} sentences are longer than the encoder reads; they were cut")
        return self.work / "text"

    def _propagate(
        self, index: Path, text: Path, checkpoint: Path, config: PropagateConfig, out: Path
    ) -> None:
        from stages.propagate.stage import STAGE

        self._run(STAGE, config, PropagateInputs(index, text, checkpoint), out)

    def _render(self, inputs: RenderInputs, config: RenderConfig, out: Path) -> None:
        from stages.render.stage import STAGE

        self._run(STAGE, config, inputs, out)

    def _run(self, stage: Stage[Any, Any], config: Any, inputs: Any, out: Path) -> Outcome:
        """Execute a stage; the single video's failure is the run's."""
        from stages.engine.execute import execute

        outcome = execute(
            stage,
            config,
            inputs,
            out,
            runtime=self.runtime,
            progress=self.progress,
            force=self.force,
        )
        if outcome.failures:
            raise CorruptInput(outcome.failures[0])
        return outcome


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
    from stages.model.checkpoint import read_document, text_dim, text_encoder

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


def publish_picture(pictures: Path, video_id: str, out: Path) -> None:
    """Copy the only picture of a render artifact to where the user wants it."""
    (picture,) = (pictures / video_id).iterdir()
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.partial")
    shutil.copyfile(picture, temporary)
    temporary.replace(out)


def _frame_names(frames: Path) -> list[str]:
    from schemas.layouts import FRAMES_TABLE
    from schemas.parquet import read_table
    from schemas.tables import FRAMES

    columns = ["video_id", "frame", "name"]
    table = read_table(frames / FRAMES_TABLE, FRAMES, columns=columns).sort_by("frame")
    return table.column("name").to_pylist()

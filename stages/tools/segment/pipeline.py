"""All stages in one go: from a video and sentences to masks and an overlay.

Every step is the stage itself, run by execute() in one work folder: an interrupted run resumes, and
new sentences about the same video reuse its frames.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import ConfigError, MissingInput
from schemas.wording import amount
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.precompute_text.config import HASH_ENCODER, TextConfig, TextInputs, local_encoder
from stages.propagate.config import PropagateConfig, PropagateInputs
from stages.tools.render.config import RenderConfig, RenderInputs
from stages.tools.segment.frame_source import (
    FrameSource,
    link_images,
    link_video,
    write_sentences,
)
from stages.tools.segment.request import SegmentRequest

if TYPE_CHECKING:
    from stages.core.engine.execute import Outcome
    from stages.core.engine.stage import Stage

FRAMES = "frames"
"""Folder of extract-frames' artifact."""
OVERLAYS = "pictures"
"""Folder of render's artifact; kept as it was named first, so that old work folders are reused."""
_UNKNOWN_ENCODER = "unknown"
_POOLING = " pooling"


@dataclass(frozen=True)
class Artifacts:
    """The pipeline's artifacts.

    Attributes:
        masks: outcome of propagate, which is published with the other outputs.
    """

    index: Path
    masks: Outcome
    overlays: Path


@dataclass(frozen=True)
class Pipeline:
    """The stages and the folder that they work in.

    Attributes:
        work: folder of the artifacts between the stages.
        force: rerun every stage.
    """

    work: Path
    runtime: Runtime
    progress: Progress
    force: bool = False

    def segment(
        self, source: FrameSource, request: SegmentRequest, config: PropagateConfig
    ) -> Artifacts:
        """Decode the video, index it, encode the sentences, compute the masks and draw them.

        Raises:
            ConfigError: no sentence, or an empty one.
            TglError: as the stages raise it.
        """
        text = text_config(request.checkpoint, request.encoder)
        check_sentences(request.sentences)
        extraction = ExtractConfig(keep_damaged=request.keep_damaged)
        index = self._index(source, request.sentences, extraction)
        texts = self._texts(index, text)
        masks = self._propagate(
            PropagateInputs(index, texts, request.checkpoint),
            config,
            request.masks or self.work / "masks",
        )
        overlays = self.work / OVERLAYS
        self._render(RenderInputs(masks.path, index, request.font), request.rendering, overlays)
        return Artifacts(index, masks, overlays)

    def encode_sentences(self, video_id: str, request: SegmentRequest) -> Path:
        """Encode the sentences of a stream before its first frame; the folder of their embeddings.

        Raises:
            ConfigError: no sentence, or an empty one.
        """
        from schemas.layouts import EXPRESSIONS_TABLE
        from schemas.parquet import rows_of, write_table
        from schemas.tables import EXPRESSIONS

        config = text_config(request.checkpoint, request.encoder)
        check_sentences(request.sentences)
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
            for number, text in enumerate(request.sentences)
        ]
        write_table(folder / EXPRESSIONS_TABLE, rows_of(rows, EXPRESSIONS), EXPRESSIONS)
        return self._texts(folder, config)

    def _index(
        self, source: FrameSource, sentences: Sequence[str], extraction: ExtractConfig
    ) -> Path:
        from stages.build_moments.stage import STAGE

        dataset = self.work / "dataset"
        frames = None
        if source.video is None:
            names = link_images(source, dataset)
        else:
            frames = self._frames(source, extraction)
            names = _frame_names(frames)
        write_sentences(dataset, source.video_id, names, sentences)
        inputs = IndexInputs(dataset, frames=frames)
        self._run(STAGE, IndexConfig(layout="mevis"), inputs, self.work / "index")
        return self.work / "index"

    def _frames(self, source: FrameSource, config: ExtractConfig) -> Path:
        from stages.extract_frames.stage import STAGE

        video = link_video(source, self.work / "source")
        self._run(STAGE, config, ExtractInputs((video,)), self.work / FRAMES)
        return self.work / FRAMES

    def _texts(self, index: Path, config: TextConfig) -> Path:
        from stages.precompute_text.stage import STAGE

        inputs = TextInputs(index, local_encoder(config.encoder))
        outcome = self._run(STAGE, config, inputs, self.work / "text")
        cut = int(outcome.counts.get("cut to max-tokens", 0))
        if cut:
            self.progress.warn(f"{amount(cut, 'sentences')} cut to the encoder's maximum length")
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


def check_sentences(sentences: Sequence[str]) -> None:
    """Raise ConfigError without a sentence, or for an empty one."""
    if not sentences or not all(sentence.strip() for sentence in sentences):
        raise ConfigError("is empty", where="SENTENCE", hint="describe what to segment")


def text_config(checkpoint: Path, encoder: str | None) -> TextConfig:
    """Settings to encode sentences with for a checkpoint.

    Args:
        encoder: a folder or hub id to use instead of the encoder named in the checkpoint.

    Raises:
        MissingInput: neither names an encoder.
    """
    from stages.core.model.checkpoint import read_document, text_dim, text_encoder

    document = read_document(checkpoint)
    trained, _, pooling = text_encoder(document).rpartition(", ")
    pooling = pooling.removesuffix(_POOLING)
    name = encoder or trained
    if not name or name == _UNKNOWN_ENCODER:
        raise MissingInput(
            "does not name the text encoder it was trained with",
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
    """Copy the only overlay of a render artifact."""
    (overlay,) = (rendered / video_id).iterdir()
    shutil.copyfile(overlay, target)


def _frame_names(frames: Path) -> list[str]:
    from schemas.layouts import FRAMES_TABLE
    from schemas.parquet import read_table
    from schemas.tables import FRAMES

    columns = ["video_id", "frame", "name"]
    table = read_table(frames / FRAMES_TABLE, FRAMES, columns=columns).sort_by("frame")
    return table.column("name").to_pylist()

"""Masks from a checkpoint: the sentences encoded, then propagated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError
from schemas.wording import amount
from stages.core.model.loading.hub import checkpoint_folder
from stages.core.model.text_encoders.recorded import ENCODER_OPTION, HASH_ENCODER, RecordedEncoder
from stages.precompute_text.config import TextConfig, text_inputs
from stages.propagate.config import PropagateInputs
from stages.tools.segment.config import NEEDS_CHECKPOINT, OF_A_TRACKER
from stages.tools.segment.frame_source import FrameSource
from stages.tools.segment.pipeline import MASKS, Artifacts, Clip, Pipeline
from stages.tools.segment.run import SegmentRun


@dataclass(frozen=True)
class Trained:
    """The way by a checkpoint.

    Attributes:
        run: its request names a checkpoint.
    """

    run: SegmentRun

    @property
    def masks_stage(self) -> str:
        """See ``ways.Way``."""
        return "propagate"

    def prepare(self, source: FrameSource) -> None:
        """See ``ways.Way``."""
        self.run.request.check_sentences()
        self._text()

    def masks(self, pipeline: Pipeline, clips: Sequence[Clip]) -> Artifacts:
        """See ``ways.Way``: the sentences are encoded, then propagated."""
        from stages.propagate.stage import STAGE

        request = self.run.request
        index = pipeline.index(clips)
        texts = encode_texts(pipeline, index, self._text())
        inputs = PropagateInputs(index, texts, self._checkpoint())
        out = request.masks or pipeline.work / MASKS
        config = self.run.config.trained().for_checkpoint(inputs.checkpoint)
        return Artifacts(index, pipeline.run(STAGE, config, inputs, out, hold=True))

    def _checkpoint(self) -> Path:
        return checkpoint_of(self.run)

    def _text(self) -> TextConfig:
        return text_config(self._checkpoint(), self.run.request.encoder)


def checkpoint_of(run: SegmentRun) -> Path:
    """Folder of the checkpoint that a request names, fetched if it is a hub id.

    Raises:
        ConfigError: it names none, or settings for a run without one.
        MissingInput: no such checkpoint.
    """
    named = run.request.checkpoint
    if named is None:
        raise ConfigError(NEEDS_CHECKPOINT, where="--online")
    run.config.refuse(OF_A_TRACKER, "has no effect with --checkpoint")
    return checkpoint_folder(named, run.progress, option="--checkpoint")


def encode_sentences(
    pipeline: Pipeline, video_id: str, sentences: Sequence[str], config: TextConfig
) -> Path:
    """Encode the sentences of a stream before its first frame; the folder of their embeddings."""
    from schemas.layouts import EXPRESSIONS_TABLE
    from schemas.parquet import rows_of, write_table
    from schemas.tables import EXPRESSIONS

    folder = pipeline.work / "sentences"
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
    return encode_texts(pipeline, folder, config)


def encode_texts(pipeline: Pipeline, index: Path, config: TextConfig) -> Path:
    """Encode the sentences of an index; the folder of their embeddings."""
    from stages.precompute_text.stage import STAGE

    inputs = text_inputs(index, config, pipeline.progress)
    outcome = pipeline.run(STAGE, config, inputs, pipeline.work / "text")
    cut = int(outcome.counts.get("cut to max-tokens", 0))
    if cut:
        pipeline.progress.warn(f"{amount(cut, 'sentences')} cut to the encoder's maximum length")
    return pipeline.work / "text"


def text_config(checkpoint: Path, encoder: str | None) -> TextConfig:
    """Settings to encode sentences with for a checkpoint.

    Args:
        encoder: a folder or hub id to use instead of the encoder named in the checkpoint.

    Raises:
        MissingInput: neither names an encoder.
    """
    from stages.core.model.checkpoint import read_document

    recorded = RecordedEncoder.of(read_document(checkpoint))
    name = encoder or recorded.require_name(checkpoint, f"name it with {ENCODER_OPTION}")
    settings: dict[str, Any] = {"encoder": name}
    if recorded.pooling is not None:
        settings["pooling"] = recorded.pooling
    if name == HASH_ENCODER:
        settings["dim"] = recorded.dim
    return TextConfig(**settings)

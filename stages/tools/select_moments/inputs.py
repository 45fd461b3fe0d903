"""The inputs of some settings: what is local by its folder, what is from the hub by its commit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stages.core.engine.progress import Progress
from stages.core.index.index import Index
from stages.core.model.loading.families import require_image_text
from stages.core.model.loading.hub import fetched_commit, local_folder
from stages.core.model.text_encoders.recorded import HASH_ENCODER, RecordedEncoder
from stages.tools.select_moments.config import (
    MODEL_OPTION,
    REFERENCES,
    SelectConfig,
    SelectInputs,
    local_model,
)
from stages.tools.select_moments.judges.registry import judge_folder, own_encoder, require_judge


def select_inputs(
    index: Path,
    config: SelectConfig,
    progress: Progress,
    *,
    text: Path | None = None,
    truth: Path | None = None,
) -> SelectInputs:
    """Find or fetch the models of some settings, and make the inputs of the stage.

    Args:
        text: embeddings of the sentences, for a checkpoint of tgl.
        truth: index with true masks, for `--model truth`.

    Raises:
        ConfigError: a model of another family.
        MissingInput: no such folder, or the hub cannot be reached.
    """
    inputs = SelectInputs(index, local_model(config.model, config.per), text, truth)
    inputs.check(config)
    if config.per_referent and config.model in REFERENCES:
        return inputs
    check = require_judge if config.per_referent else require_image_text
    if inputs.model is None:
        commit = fetched_commit(
            config.model,
            lambda: Index.open(index).require_frames(),
            option=MODEL_OPTION,
            progress=progress,
            check=check,
        )
        inputs = replace(inputs, revision=commit)
    if text is not None or not config.per_referent:
        return inputs
    return _with_encoder(inputs, inputs.model or judge_folder(config, progress), progress)


def _with_encoder(inputs: SelectInputs, judge: Path, progress: Progress) -> SelectInputs:
    """The same inputs with the encoder that a checkpoint names, if the judge is one."""
    recorded = RecordedEncoder.read(judge)
    if recorded is None or recorded.name is None or recorded.name == HASH_ENCODER:
        return inputs
    local = local_folder(recorded.name)
    if local is not None:
        return replace(inputs, encoder=local)
    Index.open(inputs.index).require_frames()  # what is missing comes before a download
    found = own_encoder(judge, progress)
    return inputs if found is None else replace(inputs, encoder_revision=found.name)

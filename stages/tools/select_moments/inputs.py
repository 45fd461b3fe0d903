"""The inputs of some settings: what is local by its folder, what is from the hub by its commit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stages.core.engine.progress import Progress
from stages.core.model.loading.families import require_image_text
from stages.core.model.loading.hub import fetched_commit, local_folder
from stages.tools.select_moments.config import (
    MODEL_OPTION,
    REFERENCES,
    SelectConfig,
    SelectInputs,
    local_model,
)
from stages.tools.select_moments.judges.registry import judge_folder, own_encoder


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
    if not config.per_referent:
        commit = fetched_commit(
            config.model, option=MODEL_OPTION, progress=progress, check=require_image_text
        )
        return replace(inputs, revision=commit)
    if config.model in REFERENCES:
        return inputs
    folder = judge_folder(config, progress)
    if inputs.model is None:
        inputs = replace(inputs, revision=folder.name)
    encoder = own_encoder(folder, progress) if text is None else None
    if encoder is None:
        return inputs
    if local_folder(encoder.name) is None:
        return replace(inputs, encoder_revision=encoder.folder.name)
    return replace(inputs, encoder=encoder.folder)

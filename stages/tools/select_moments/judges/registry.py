"""The judge that the settings name."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import ConfigError
from stages.core.engine.progress import Progress, SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.model.loading.families import (
    CHECKPOINT,
    DETECTORS,
    IMAGE_TEXT,
    TRACKERS,
    model_kind,
    wrong_family,
)
from stages.core.model.loading.hub import TOY, checkpoint_folder, model_folder
from stages.tools.select_moments.config import (
    BEST_CANDIDATE,
    MODEL_OPTION,
    REFERENCES,
    TRUTH,
    SelectConfig,
    SelectInputs,
)
from stages.tools.select_moments.judges.best_candidate import BestCandidateJudge
from stages.tools.select_moments.judges.judge import Judge
from stages.tools.select_moments.judges.truth import TruthJudge


def prepare_judge(config: SelectConfig, progress: Progress) -> None:
    """Download the model of a run where it is not on this machine.

    Raises:
        MissingInput: no such folder, or the hub cannot be reached.
    """
    if config.model not in REFERENCES:
        _folder(config, progress)


def load_judge(config: SelectConfig, inputs: SelectInputs, runtime: Runtime) -> Judge:
    """Load the judge of a run on the runtime's device.

    Raises:
        ConfigError: a model of a family that judges nothing.
        MissingInput: the model, or an input that it needs, is missing.
        CorruptInput: the model cannot be loaded.
    """
    if config.model == TRUTH and inputs.truth is not None:
        return TruthJudge(inputs.truth)
    if config.model == BEST_CANDIDATE:
        return BestCandidateJudge(inputs.index)
    folder = _folder(config, SilentProgress())
    if is_checkpoint(folder):
        return _checkpoint(config, folder, inputs, runtime)
    if inputs.text is not None:
        raise ConfigError("only a tgl checkpoint reads encoded sentences", where="--text")
    # Loaded here, since they load torch and transformers.
    if model_kind(folder) in IMAGE_TEXT:
        from stages.tools.select_moments.judges.image_text import ImageTextJudge

        return ImageTextJudge(config, runtime)
    from stages.tools.select_moments.judges.question import QuestionJudge

    return QuestionJudge(config, runtime)


def require_judge(folder: Path, option: str) -> None:
    """Check that a model's folder is of a family of judges.

    Args:
        option: the option that named it, for messages.

    Raises:
        ConfigError: it is not.
    """
    kind = model_kind(folder)
    if kind in (CHECKPOINT, *IMAGE_TEXT):
        return
    if kind and kind not in (*DETECTORS, *TRACKERS):  # else told without torch and transformers
        from stages.tools.select_moments.judges.odds import QUESTION_FAMILIES

        if kind in QUESTION_FAMILIES:
            return
    known = (*IMAGE_TEXT, "the image-text-to-text models", CHECKPOINT)
    raise wrong_family(folder, kind, known, option)


def _checkpoint(
    config: SelectConfig, folder: Path, inputs: SelectInputs, runtime: Runtime
) -> Judge:
    if inputs.text is None:
        raise ConfigError(
            "a tgl checkpoint needs the sentences, encoded by tgl precompute-text",
            where="--text",
            hint="name its OUT",
        )
    from stages.tools.select_moments.judges.checkpoint import CheckpointJudge

    return CheckpointJudge(config, folder, inputs.text, runtime)


def _folder(config: SelectConfig, progress: Progress) -> Path:
    """The folder of the model, downloaded where it is not on this machine."""
    if config.model == TOY:
        return checkpoint_folder(TOY)
    return model_folder(config.model, option=MODEL_OPTION, progress=progress, check=require_judge)


def is_checkpoint(folder: Path) -> bool:
    """Return whether a model's folder is a checkpoint of tgl."""
    return model_kind(folder) == CHECKPOINT

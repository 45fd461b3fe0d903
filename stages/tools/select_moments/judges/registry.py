"""The judge that the settings name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import ConfigError, MissingInput
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
from stages.core.model.loading.hub import (
    TOY,
    checkpoint_folder,
    model_folder,
)
from stages.core.model.text_encoders.recorded import (
    DEFAULT_POOLING,
    ENCODER_OPTION,
    HASH_ENCODER,
    MAX_TOKENS,
    RecordedEncoder,
)
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

if TYPE_CHECKING:
    from stages.core.model.text_encoders.on_demand import EncodedTexts


_TEXT_INSTEAD = "encode the sentences with tgl precompute-text, and name its OUT with --text"


def prepare_judge(config: SelectConfig, inputs: SelectInputs, progress: Progress) -> None:
    """Download the models of a run where they are not on this machine.

    Raises:
        ConfigError: a model of a family that judges nothing.
        MissingInput: no such folder, or the hub cannot be reached.
    """
    if config.model in REFERENCES:
        return
    folder = judge_folder(config, progress)
    if inputs.text is None:
        own_encoder(folder, progress)


def own_encoder(folder: Path, progress: Progress) -> Path | None:
    """The folder of the encoder that a checkpoint names, downloaded where it is missing.

    Args:
        folder: of any judge.

    Returns:
        None for a judge that needs none, and for an encoder without files.

    Raises:
        MissingInput: no such folder, or the hub cannot be reached.
    """
    recorded = RecordedEncoder.read(folder)
    if recorded is None or recorded.name is None or recorded.name == HASH_ENCODER:
        return None
    try:
        return model_folder(recorded.name, option=ENCODER_OPTION, progress=progress)
    except MissingInput as error:
        raise MissingInput(error.message, where=error.where, hint=_TEXT_INSTEAD) from error


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
    folder = judge_folder(config, SilentProgress())
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
    known = (*IMAGE_TEXT, "an image-text-to-text model", f"or a {CHECKPOINT}")
    raise wrong_family(folder, kind, known, option)


def _checkpoint(
    config: SelectConfig, folder: Path, inputs: SelectInputs, runtime: Runtime
) -> Judge:
    from stages.core.index.texts import TextStore
    from stages.tools.select_moments.judges.checkpoint import CheckpointJudge

    texts = _encoded(folder, runtime) if inputs.text is None else TextStore.open(inputs.text)
    return CheckpointJudge(config, folder, texts, runtime)


def _encoded(folder: Path, runtime: Runtime) -> EncodedTexts:
    """Sentences as the encoder that a checkpoint was trained with encodes them."""
    from stages.core.model.checkpoint import read_document
    from stages.core.model.text_encoders.loading import load_encoder
    from stages.core.model.text_encoders.on_demand import EncodedTexts

    recorded = RecordedEncoder.of(read_document(folder))
    encoder = load_encoder(
        recorded.require_name(folder, _TEXT_INSTEAD),
        pooling=recorded.pooling or DEFAULT_POOLING,
        max_tokens=MAX_TOKENS,
        dim=recorded.dim,
        runtime=runtime,
    )
    return EncodedTexts(encoder)


def judge_folder(config: SelectConfig, progress: Progress) -> Path:
    """The folder of the model, downloaded where it is not on this machine.

    Raises:
        ConfigError: a model of a family that judges nothing.
        MissingInput: no such folder, or the hub cannot be reached.
    """
    if config.model == TOY:
        return checkpoint_folder(TOY)
    return model_folder(config.model, option=MODEL_OPTION, progress=progress, check=require_judge)


def is_checkpoint(folder: Path) -> bool:
    """Return whether a model's folder is a checkpoint of tgl."""
    return model_kind(folder) == CHECKPOINT

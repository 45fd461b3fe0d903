"""The judge that the settings name."""

from __future__ import annotations

from schemas.errors import ConfigError
from stages.core.engine.runtime import Runtime
from stages.tools.select_moments.config import BEST_CANDIDATE, TRUTH, SelectConfig, SelectInputs
from stages.tools.select_moments.judges.best_candidate import BestCandidateJudge
from stages.tools.select_moments.judges.judge import Judge
from stages.tools.select_moments.judges.truth import TruthJudge


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
    raise ConfigError("no such judge", where=config.model)

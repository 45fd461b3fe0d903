"""The stage select-moments: each video is a unit."""

from __future__ import annotations

from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workspace import Workspace
from stages.tools.select_moments.config import SelectConfig, SelectInputs
from stages.tools.select_moments.referents import select_for_referents
from stages.tools.select_moments.sentences import select_for_sentences


def run(
    config: SelectConfig,
    inputs: SelectInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Choose moments per sentence or referent; see :func:`stages.core.engine.execute.execute`."""
    inputs.check(config)
    select = select_for_referents if config.per_referent else select_for_sentences
    return select(config, inputs, out, runtime=runtime, progress=progress)


STAGE = Stage("select-moments", 1, SelectConfig, SelectInputs, run, network=True)

"""tgl select-moments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.tools.select_moments.config import SelectConfig, SelectInputs, local_model
from tglcli.options import RunOptions, stage_command


@stage_command(SelectConfig, runtime=("device", "precision"))
def select_moments(
    index: Annotated[Path, typer.Argument(help="An index.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="The folder to make.", show_default=False)],
    config: SelectConfig,
    run: RunOptions,
) -> None:
    """Choose each sentence's moments with an image-text model: CLIP, SigLIP or BLIP-2.

    OUT/moments.parquet is what propagate --moments takes. Where the index has annotated moments,
    the summary says how often the best frame lies in one (key-frame top-1).
    """
    from stages.tools.select_moments.stage import STAGE

    run.execute(STAGE, config, SelectInputs(index, local_model(config.model)), out)

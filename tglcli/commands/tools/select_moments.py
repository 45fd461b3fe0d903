"""tgl select-moments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.tools.select_moments.config import SelectConfig, SelectInputs, local_model
from tglcli.options import RunOptions, stage_command


@stage_command(SelectConfig, runtime=("device", "precision"))
def select_moments(
    index: Annotated[Path, typer.Argument(help="Index of tgl build-moments.")],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    config: SelectConfig,
    run: RunOptions,
) -> None:
    """Select the moments of each sentence with an image-text model.

    OUT/moments.parquet can be given to tgl propagate --moments. If the index has annotated
    moments, the summary shows how often the best frame is in one (key-frame top-1).

    Examples:
        tgl select-moments index selected
        tgl select-moments index out --model google/siglip-base-patch16-224
    """
    from stages.tools.select_moments.stage import STAGE

    run.execute(STAGE, config, SelectInputs(index, local_model(config.model)), out)

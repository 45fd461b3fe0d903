"""tgl toy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.tools.toy.config import ToyConfig, ToyInputs
from tglcli.options import RunOptions, stage_command


@stage_command(ToyConfig, runtime=("workers",))
def toy(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    config: ToyConfig,
    run: RunOptions,
) -> None:
    """Generate a synthetic data set with sentences and moments.

    Examples:
        tgl toy data
        tgl toy data --train-clips 20 --valid-clips 5 --dev-clips 0 --size 64
    """
    from stages.tools.toy.stage import STAGE

    run.execute(STAGE, config, ToyInputs(), out)

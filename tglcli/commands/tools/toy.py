"""tgl toy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.tools.toy.config import ToyConfig, ToyInputs
from tglcli.options import RunOptions, stage_command


@stage_command(ToyConfig, runtime=("workers",))
def toy(
    out: Annotated[Path, typer.Argument(help="The folder to make.", show_default=False)],
    config: ToyConfig,
    run: RunOptions,
) -> None:
    """Make the synthetic data set: videos, masks, sentences and moments, without a download."""
    from stages.tools.toy.stage import STAGE

    run.execute(STAGE, config, ToyInputs(), out)

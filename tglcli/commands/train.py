"""tgl train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.core.engine.digest import require_folder
from stages.core.model.hub import backbone_folder
from stages.train.config import TrainConfig, TrainInputs
from tglcli.options import RunOptions, stage_command


@stage_command(TrainConfig, runtime=("workers", "device", "precision", "compile"))
def train(
    index: Annotated[Path, typer.Argument(help="An index.", show_default=False)],
    text: Annotated[Path, typer.Argument(help="Its texts.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="The checkpoint to make.", show_default=False)],
    config: TrainConfig,
    run: RunOptions,
    backbone: Annotated[
        str,
        typer.Option(
            help="A SAM 2 or EdgeTAM video model: a folder, a hub id such as "
            "facebook/sam2.1-hiera-base-plus, or toy, the small one that knows only shapes."
        ),
    ] = "facebook/sam2.1-hiera-base-plus",
    valid: Annotated[
        Path | None, typer.Option(help="A held-out index to validate on.", show_default="none")
    ] = None,
    valid_text: Annotated[
        Path | None,
        typer.Option(help="The texts of the held-out index.", show_default="those of TEXT"),
    ] = None,
) -> None:
    """Train a model on moments.

    The switches --sampling, --mdp and --oss stand each for one part of the method; all on is TGL.
    """
    for named in (index, text, valid, valid_text):
        if named is not None:
            require_folder(named)  # before a backbone is looked for, and maybe downloaded
    folder = backbone_folder(backbone)
    from stages.train.stage import STAGE, together

    inputs = TrainInputs(index, text, folder, valid, valid_text)
    together(lambda: run.execute(STAGE, config, inputs, out), config, inputs, run.runtime)

"""tgl train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.core.engine.digest import require_folder
from stages.core.model.loading.catalog import DEFAULT_BACKBONE
from stages.core.model.loading.hub import backbone_folder
from stages.train.config import VALIDATION, TrainConfig, TrainInputs
from tglcli.options import RunOptions, stage_command


@stage_command(TrainConfig, runtime=("workers", "device", "precision", "compile"))
def train(
    index: Annotated[Path, typer.Argument(help="Index of tgl build-moments.")],
    text: Annotated[Path, typer.Argument(help="Its sentences, encoded by tgl precompute-text.")],
    out: Annotated[Path, typer.Argument(help="Checkpoint to write.")],
    config: TrainConfig,
    run: RunOptions,
    backbone: Annotated[
        str,
        typer.Option(
            help="SAM 2, SAM 3 or EdgeTAM video model: a folder, a hub id, or toy, the small one "
            "for the data of tgl toy."
        ),
    ] = DEFAULT_BACKBONE,
    valid: Annotated[
        Path | None,
        typer.Option(help="Held-out index to validate on.", rich_help_panel=VALIDATION),
    ] = None,
    valid_text: Annotated[
        Path | None,
        typer.Option(
            help="Sentences of the held-out index, encoded.",
            show_default="TEXT",
            rich_help_panel=VALIDATION,
        ),
    ] = None,
) -> None:
    """Train a model on moments.

    The method is --sampling moment with --mdp and --oss; each can be switched off alone.

    Examples:
        tgl train index text checkpoint
        tgl train index text checkpoint --backbone toy --steps 1000 --batch 8
        torchrun --nproc_per_node 8 -m tglcli train index text checkpoint
    """
    for named in (index, text, valid, valid_text):
        if named is not None:
            require_folder(named)  # before a backbone is looked for, and maybe downloaded
    folder = backbone_folder(backbone, run.progress())
    from stages.train.stage import STAGE, together

    inputs = TrainInputs(index, text, folder, valid, valid_text)
    together(lambda: run.execute(STAGE, config, inputs, out), config, inputs, run.runtime)

"""tgl assemble."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.core.index.table_paths import moments_file
from stages.zero_shot.assemble.config import AssembleConfig, AssembleInputs
from tglcli.options import RunOptions, stage_command


@stage_command(AssembleConfig, runtime=("workers", "scheduler", "device", "devices", "precision"))
def assemble(
    tracks: Annotated[Path, typer.Argument(help="Index of tgl track.")],
    moments: Annotated[
        Path, typer.Argument(help="Accepted tracks with their moments, of tgl select-moments.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder of masks to write.")],
    config: AssembleConfig,
    run: RunOptions,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Tracker for --masks mdp: toy, a folder, or a hub id of SAM 2, EdgeTAM or SAM 3."
        ),
    ] = None,
) -> None:
    """Write the masks of each sentence from the tracks that were accepted for it.

    OUT is read by tgl score, render and submit like the masks of tgl propagate. A sentence without
    an accepted track has empty masks.

    Examples:
        tgl assemble tracks accepted masks
        tgl assemble tracks accepted masks --objects palette
        tgl assemble tracks accepted masks --masks mdp --backbone toy
    """
    from stages.core.model.loading.hub import backbone_folder
    from stages.zero_shot.assemble.stage import STAGE

    folder = None if backbone is None else backbone_folder(backbone, run.progress())
    run.execute(STAGE, config, AssembleInputs(tracks, moments_file(moments), folder), out)

"""tgl propagate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from stages.propagate.config import (
    FILE,
    MOMENTS,
    PropagateConfig,
    PropagateInputs,
    moments_table,
)
from tglcli.options import SETTINGS_PANEL, RunOptions, stage_command


@stage_command(
    PropagateConfig, runtime=("workers", "device", "precision", "compile"), own=("moments",)
)
def propagate(
    index: Annotated[Path, typer.Argument(help="An index.", show_default=False)],
    text: Annotated[Path, typer.Argument(help="Its texts.", show_default=False)],
    checkpoint: Annotated[
        Path, typer.Argument(help="A checkpoint of tgl train.", show_default=False)
    ],
    out: Annotated[Path, typer.Argument(help="The folder of masks to make.", show_default=False)],
    config: PropagateConfig,
    run: RunOptions,
    moments: Annotated[
        str,
        typer.Option(
            help="What routes the frames: annotated (the index's moments), predicted (the model's "
            "own), all (every frame is guided), or the path of a moments table.",
            rich_help_panel=SETTINGS_PANEL,
        ),
    ] = "predicted",
) -> None:
    """Find the masks of every sentence in every frame of its video."""
    from stages.propagate.stage import STAGE, together

    named = moments in MOMENTS and moments != FILE
    config = replace(config, moments=moments if named else FILE)
    table = None if named else moments_table(moments)
    inputs = PropagateInputs(index, text, checkpoint, table)
    together(lambda: run.execute(STAGE, config, inputs, out), config, inputs, run.runtime)

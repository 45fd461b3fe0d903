"""tgl export-masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import ConfigError
from stages.tools.export_masks.config import ExportConfig, ExportInputs
from tglcli.options import RunOptions, stage_command


@stage_command(ExportConfig, runtime=("workers", "scheduler"))
def export_masks(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="MASKS", help="Predictions (VIDEO/EXPRESSION/FRAME.png), or an index."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    config: ExportConfig,
    run: RunOptions,
    index: Annotated[
        Path | None,
        typer.Option(
            help="Index of predictions, for their sentences, frames and sizes.",
            show_default="names and sizes of the PNGs",
        ),
    ] = None,
) -> None:
    """Export masks to labelling tools and trainers.

    Examples:
        tgl export-masks masks coco --index index
        tgl export-masks index palette --format davis-palette
        tgl export-masks masks cvat --index index --format cvat --only dog-1
    """
    from stages.tools.export_masks.stage import STAGE

    inputs = ExportInputs(source, index)
    if index is not None and inputs.is_index:
        raise ConfigError("MASKS is an index itself", where="--index", hint="leave it out")
    run.execute(STAGE, config, inputs, out)

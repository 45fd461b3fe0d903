"""tgl render."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.tools.render.config import RenderConfig, RenderInputs
from tglcli.options import RunOptions, stage_command


@stage_command(RenderConfig, runtime=("workers", "scheduler"))
def render(
    preds: Annotated[
        Path,
        typer.Argument(
            help="Predicted masks, VIDEO/EXPRESSION/FRAME.png, as tgl propagate writes them."
        ),
    ],
    frames: Annotated[
        Path,
        typer.Argument(
            help="Index (frames, sentences, moments, ground truth), or a plain folder of frames."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    config: RenderConfig,
    run: RunOptions,
    font: Annotated[
        Path | None,
        typer.Option(
            help="TrueType or OpenType font, for scripts other than Latin, Greek and Cyrillic.",
            show_default="Source Sans",
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            help="Video that the frames were extracted from, or a folder of such videos, for "
            "--keep-audio."
        ),
    ] = None,
) -> None:
    """Draw masks over their frames, with the ground truth if known; or cut out what they show.

    Examples:
        tgl render masks index overlays
        tgl render masks index overlays --format sheet --only dog-1/0
        tgl render masks index cutouts --style cutout --format webm
    """
    from stages.tools.render.stage import STAGE

    run.execute(STAGE, config, RenderInputs(preds, frames, font, source), out)

"""tgl render."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.tools.render.config import RenderConfig, RenderInputs
from tglcli.options import RunOptions, stage_command


@stage_command(RenderConfig, runtime=("workers",))
def render(
    preds: Annotated[
        Path,
        typer.Argument(
            help="Predictions, VIDEO/EXPRESSION/FRAME.png, as tgl propagate writes them.",
            show_default=False,
        ),
    ],
    frames: Annotated[
        Path,
        typer.Argument(
            help="An index (frames, sentences, moments, truth), or a bare folder of frames.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Argument(help="The folder of pictures.", show_default=False)],
    config: RenderConfig,
    run: RunOptions,
    font: Annotated[
        Path | None,
        typer.Option(
            help="A TrueType or OpenType font, for sentences that are not in Latin letters.",
            show_default="Pillow's own",
        ),
    ] = None,
) -> None:
    """Draw predictions over their frames: videos, GIFs or sheets, against the truth if known."""
    from stages.tools.render.stage import STAGE

    run.execute(STAGE, config, RenderInputs(preds, frames, font), out)

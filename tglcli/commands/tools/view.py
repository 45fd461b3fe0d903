"""tgl view."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.tools.view.config import ViewConfig, ViewInputs
from tglcli.browsing import announce
from tglcli.options import RunOptions, stage_command


@stage_command(ViewConfig, artifact=False)
def view(
    frames: Annotated[
        Path,
        typer.Argument(
            metavar="INDEX",
            help="Index (frames, sentences, ground truth), or a plain folder of frames.",
        ),
    ],
    config: ViewConfig,
    run: RunOptions,
    preds: Annotated[
        list[Path] | None,
        typer.Option(
            help="Predicted masks, VIDEO/EXPRESSION/FRAME.png; may be given twice, to compare.",
            show_default="none",
        ),
    ] = None,
    scores: Annotated[
        list[Path] | None,
        typer.Option(
            help="OUT of tgl score for these predictions: J per frame, and the worst first; may be "
            "given twice, in the order of --preds.",
            show_default="none",
        ),
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the address in the browser.")
    ] = False,
) -> None:
    """Show predictions and ground truth in the browser.

    A local server shows the page until Ctrl-C. Nothing is changed.

    Examples:
        tgl view index
        tgl view index --preds masks --scores scores --open
        tgl view frames --preds masks --preds others
    """
    from stages.core.browser.server import require_server

    require_server("view")
    from stages.tools.view.run import view as serve_view

    serve_view(
        config,
        ViewInputs(frames, tuple(preds or ()), tuple(scores or ())),
        ready=announce("view", open_browser=open_browser),
        progress=run.progress(),
    )

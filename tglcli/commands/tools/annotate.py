"""tgl annotate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.tools.annotate.config import AnnotateConfig
from tglcli.browsing import announce
from tglcli.options import RunOptions, stage_command
from tglcli.summary import counts_text, shown


@stage_command(AnnotateConfig, artifact=False)
def annotate(
    index: Annotated[Path, typer.Argument(help="Index of tgl build-moments or tgl track.")],
    out: Annotated[Path, typer.Argument(help="Folder to write, with a folder per annotator.")],
    config: AnnotateConfig,
    run: RunOptions,
    adjudicate: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="A B",
            help="Decide between two annotators' folders (or moments), the sentences with the "
            "lowest agreement first.",
        ),
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the address in the browser.")
    ] = False,
) -> None:
    """Mark the moments of each referent in the browser.

    A local server shows the page until Ctrl-C. Every action is saved at once, in
    OUT/ANNOTATOR/log.jsonl. OUT/ANNOTATOR has the moments of the sentences marked done, which
    --moments of other commands reads. Flagged sentences are not exported.

    Examples:
        tgl annotate index annotations
        tgl annotate index annotations --annotator anna --proposals visibility --open
        tgl annotate index decided --adjudicate annotations/anna annotations/ben
    """
    from stages.core.browser.server import require_server

    require_server("annotate")
    from stages.tools.annotate.run import AnnotateInputs
    from stages.tools.annotate.run import annotate as serve_annotation

    folder, counts = serve_annotation(
        config,
        AnnotateInputs(index, adjudicate or ()),
        out,
        ready=announce("annotate", open_browser=open_browser),
        progress=run.progress(),
    )
    if not run.quiet:
        typer.echo(f"annotate: {counts_text(counts)} -> {shown(folder)}")

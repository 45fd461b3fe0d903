"""tgl export-moments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from stages.core.moment_formats import FORMAT_NAMES
from tglcli.summary import counts_text, shown


def export_moments(
    index: Annotated[Path, typer.Argument(help="An index.", show_default=False)],
    out: Annotated[
        Path,
        typer.Argument(
            help="The file to write; for cvat and elan a folder, one file a video.",
            show_default=False,
        ),
    ],
    moments_format: Annotated[
        Literal[FORMAT_NAMES],  # type: ignore[valid-type]  # typer takes a tuple's words
        typer.Option("--moments-format", help="The format to write."),
    ] = "tgl",
    moments: Annotated[
        Path | None,
        typer.Option(help="Another moments table.", show_default="the index's own"),
    ] = None,
    video: Annotated[
        list[str] | None,
        typer.Option(help="Only this video; may be repeated.", show_default="all"),
    ] = None,
    union: Annotated[
        bool,
        typer.Option(
            "--union", help="Join the spans of an expression's referents, where formats know none."
        ),
    ] = False,
    fps: Annotated[
        float,
        typer.Option(help="Frames a second of videos whose rate the index does not know.", min=0),
    ] = 0.0,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace files that tgl did not write, or that were edited."),
    ] = False,
) -> None:
    """Write the moments of an index for another tool.

    What the format cannot hold is refused: seconds of a video whose frame rate is unknown, single
    referents, sentences that read the same.
    """
    from stages.tools.export_moments.export import export_moments as export

    counts = export(
        index,
        out,
        moments_format,
        table=moments,
        videos=video or (),
        union=union,
        fps=fps,
        force=force,
    )
    typer.echo(f"export-moments: {counts_text(counts)} -> {shown(out)}")

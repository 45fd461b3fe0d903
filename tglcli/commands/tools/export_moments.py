"""tgl export-moments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from stages.core.moment_formats import FORMAT_NAMES
from tglcli.summary import counts_text, shown


def export_moments(
    index: Annotated[Path, typer.Argument(help="Index of tgl build-moments.")],
    out: Annotated[
        Path,
        typer.Argument(help="File to write; for cvat and elan a folder with one file per video."),
    ],
    moments_format: Annotated[
        Literal[FORMAT_NAMES] | None,  # type: ignore[valid-type]  # typer takes a tuple's words
        typer.Option(
            "--moments-format",
            help="Format to write.",
            show_default="by the suffix of OUT: .json tgl, .csv csv, .parquet, .jsonl, .txt, ...",
        ),
    ] = None,
    moments: Annotated[
        Path | None,
        typer.Option(
            help="Moments to export: a table, or OUT of tgl select-moments or tgl annotate.",
            show_default="those of the index",
        ),
    ] = None,
    video: Annotated[
        list[str] | None,
        typer.Option(help="Export only this video; may be repeated.", show_default="all"),
    ] = None,
    union: Annotated[
        bool,
        typer.Option(
            "--union",
            help="Merge the moments of an expression's referents, for formats without referents.",
        ),
    ] = False,
    fps: Annotated[
        float,
        typer.Option(help="Frame rate of videos for which the index has none.", min=0),
    ] = 0.0,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace files that tgl did not write or that were edited."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no summary.")] = False,
) -> None:
    """Export the moments of an index to a format of another tool.

    Fails if the format cannot express them: seconds without a frame rate, moments of single
    referents, equal sentences in one video.

    Examples:
        tgl export-moments index moments.csv
        tgl export-moments index elan --moments-format elan --video dog-1
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
    if not quiet:
        typer.echo(f"export-moments: {counts_text(counts)} -> {shown(out)}")

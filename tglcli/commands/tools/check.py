"""tgl check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import CorruptInput
from schemas.printable import LONG, printable
from schemas.wording import amount
from stages.tools.check.config import CheckConfig
from tglcli.options import RunOptions, stage_command
from tglcli.summary import counts_text, shown


@stage_command(CheckConfig, runtime=("workers",), artifact=False)
def check(
    path: Annotated[
        Path,
        typer.Argument(
            help="A data set's split, an artifact of tgl, one of its tables, or the zip "
            "of a submission.",
            show_default=False,
        ),
    ],
    config: CheckConfig,
    run: RunOptions,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole report as JSON.")
    ] = False,
    meta: Annotated[
        Path | None,
        typer.Option(
            help="The split's meta_expressions.json: what a submission must hold. Without it the "
            "zip is held against itself.",
            show_default=False,
        ),
    ] = None,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix",
            help="Of an artifact of tgl, remove damaged pictures and what interrupted runs left. "
            "Data sets and videos are never changed.",
        ),
    ] = False,
    show: Annotated[int, typer.Option(help="Faults shown of each part.", min=0)] = 5,
) -> None:
    """List every fault of a data set, an artifact or a submission; nothing is changed.

    The exit code is 0 where there is none, and 5 where there are.
    """
    from stages.tools.check.check import check as check_path
    from tglcli.progress import TerminalProgress

    progress = TerminalProgress(quiet=run.quiet or as_json)
    report = check_path(path, config, runtime=run.runtime, progress=progress, meta=meta, fix=fix)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
    else:
        origin = f", made by {printable(report.made_by)}" if report.made_by else ""
        typer.echo(f"{shown(path)}: {report.kind}{origin}: {counts_text(report.counts)}")
        for part, number in report.by_part.items():
            typer.echo(f"{part}: {amount(number, 'faults')}")
            chosen = [fault for fault in report.faults if fault.part == part]
            for fault in chosen[:show]:
                typer.echo(f"  {printable(fault, LONG)}")
            if number > show:
                typer.echo(f"  ... and {number - show} more, see --show or --json")
        for note in report.notes:
            typer.echo(f"note: {printable(note)}")
        if not report.faults:
            typer.echo("no faults")
        for line in report.fixed:
            typer.echo(f"fixed: {printable(line, LONG)}")
    if report.faults:
        raise typer.Exit(CorruptInput.exit_code)

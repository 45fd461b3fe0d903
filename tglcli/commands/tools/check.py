"""tgl check."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.errors import CorruptInput
from schemas.printable import LONG, printable
from schemas.wording import amount
from stages.tools.check.config import CheckConfig
from tglcli.options import RunOptions, stage_command
from tglcli.summary import counts_text, shown

if TYPE_CHECKING:
    from stages.tools.check.findings import Report


@stage_command(CheckConfig, runtime=("workers",), artifact=False)
def check(
    path: Annotated[
        Path,
        typer.Argument(
            help="Split of a data set, artifact of tgl, one of its tables, or zip of a submission."
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
            help="Split's meta_expressions.json, to check a submission for missing videos and "
            "expressions.",
        ),
    ] = None,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix",
            help="Remove damaged images and leftovers of interrupted runs from an artifact of tgl. "
            "Data sets and videos are never changed.",
        ),
    ] = False,
    show: Annotated[int, typer.Option(help="Most faults shown per part.", min=0)] = 5,
) -> None:
    """List every fault of a data set, an artifact or a submission.

    Exits with 0 if there are no faults, else with 5.

    Examples:
        tgl check mevis/train
        tgl check index --deep
        tgl check submission.zip --meta mevis/valid/meta_expressions.json
    """
    from stages.tools.check.check import check as check_path

    progress = replace(run, quiet=run.quiet or as_json).progress()
    report = check_path(path, config, runtime=run.runtime, progress=progress, meta=meta, fix=fix)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
    else:
        _print(report, path, show)
    if report.faults:
        raise typer.Exit(CorruptInput.exit_code)


def _print(report: Report, path: Path, show: int) -> None:
    """Print the counts, then at most `show` faults of each part."""
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

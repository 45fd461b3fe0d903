"""The app: its commands, and the one place where a TglError becomes a line and an exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import MissingInput, TglError, system_errors
from tglcli.commands.build_moments import build_moments
from tglcli.commands.check import check
from tglcli.commands.export_moments import export_moments
from tglcli.commands.extract_frames import extract_frames
from tglcli.commands.precompute_text import precompute_text
from tglcli.commands.propagate import propagate
from tglcli.commands.references import references
from tglcli.commands.render import render
from tglcli.commands.score import score
from tglcli.commands.segment import segment
from tglcli.commands.select_moments import select_moments
from tglcli.commands.submit import submit
from tglcli.commands.table import table
from tglcli.commands.toy import toy
from tglcli.commands.train import train

STAGES = "Stages, in order"
HELPERS = "Helpers"

app = typer.Typer(
    name="tgl",
    help="Referring video object segmentation with temporally grounded learning: "
    "from videos and sentences to masks and scores, stage by stage.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("extract-frames", rich_help_panel=STAGES)(extract_frames)
app.command("build-moments", rich_help_panel=STAGES)(build_moments)
app.command("precompute-text", rich_help_panel=STAGES)(precompute_text)
app.command("train", rich_help_panel=STAGES)(train)
app.command("propagate", rich_help_panel=STAGES)(propagate)
app.command("score", rich_help_panel=STAGES)(score)
app.command("check", rich_help_panel=HELPERS)(check)
app.command("select-moments", rich_help_panel=HELPERS)(select_moments)
app.command("export-moments", rich_help_panel=HELPERS)(export_moments)
app.command("references", rich_help_panel=HELPERS)(references)
app.command("render", rich_help_panel=HELPERS)(render)
app.command("segment", rich_help_panel=HELPERS)(segment)
app.command("submit", rich_help_panel=HELPERS)(submit)
app.command("table", rich_help_panel=HELPERS)(table)
app.command("toy", rich_help_panel=HELPERS)(toy)


def _print_version(wanted: bool) -> None:
    if wanted:
        from stages.engine.version import TGL_VERSION

        typer.echo(f"tgl {TGL_VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Options of tgl itself."""


def _made_by(error: TglError) -> str:
    """Which stage made the folder that lacks something: often one was named for another."""
    if not isinstance(error, MissingInput) or error.where is None:
        return ""
    from schemas.receipts import read_receipt

    for folder in (Path(error.where), Path(error.where).parent):
        try:
            receipt = read_receipt(folder)
        except (TglError, ValueError):  # ValueError: a name that no file can have
            continue
        if receipt is not None:
            return f" ({folder} was made by tgl {receipt.stage})"
    return ""


def main() -> None:
    """Entry point of the console script."""
    # Several processes on few cores: spinning threads of OpenMP would take them from each other.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        with system_errors():
            app()
    except TglError as error:
        typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
        typer.echo(f"{error}{_made_by(error)}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output went away (tgl ... | head): nothing is wrong.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123


if __name__ == "__main__":
    main()

"""The options of a dry run, which prints what a command would take and does nothing else."""

from __future__ import annotations

from typing import Annotated

import typer

from tglcli.options import RUN_PANEL

DEFAULT_TFLOPS = 300.0
"""About a third of an H100's peak in bfloat16, which networks of this kind reach."""

DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print the memory and hours that the run would take, and stop; needs no weights.",
        rich_help_panel=RUN_PANEL,
    ),
]
Tflops = Annotated[
    float,
    typer.Option(
        help="Speed of a device for --dry-run, in 10^12 operations/s.",
        min=1e-6,
        rich_help_panel=RUN_PANEL,
    ),
]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print what --dry-run counts as JSON.",
        rich_help_panel=RUN_PANEL,
    ),
]

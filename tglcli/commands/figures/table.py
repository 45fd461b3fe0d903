"""tgl table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from schemas.printable import printable
from tglcli.summary import shown


def table(
    scores: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER", help="Folders that tgl score --out wrote, one per run."),
    ],
) -> None:
    """Compare the scores of several runs in one table.

    Examples:
        tgl table scores/full scores/no-oss
        tgl table scores/*
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from stages.tools.table.scores import read_scores
    from tglcli.score_tables import percent

    rows = [(folder, read_scores(folder)) for folder in scores]
    caption = "J&F in percent, averaged over sentences; then J&F by number of referents"
    grid = Table(box=box.SIMPLE_HEAD, caption=caption)
    grid.add_column("run", overflow="fold")
    for name in ("J&F", "J", "F", "1 referent", "several", "none", "n"):
        grid.add_column(name, justify="right")
    names = {folder.name for folder in scores}
    for folder, run in rows:
        name = folder.name if len(names) == len(scores) else shown(folder)
        values = (run.jf, run.j, run.f, run.one, run.several, run.none)
        grid.add_row(Text(printable(name)), *map(percent, values), f"{run.expressions:,}")
    Console().print(grid)

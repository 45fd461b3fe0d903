"""tgl table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.documents import load_object
from schemas.errors import CorruptInput
from schemas.layouts import SUMMARY_FILE
from schemas.printable import printable
from tglcli.summary import shown

_PERCENT = 100
_NOTHING = "-"


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

    rows = [(folder, _summary(folder)) for folder in scores]
    caption = "J&F in percent, averaged over sentences; then J&F by number of referents"
    grid = Table(box=box.SIMPLE_HEAD, caption=caption)
    grid.add_column("run", overflow="fold")
    for name in ("J&F", "J", "F", "1 referent", "several", "none", "n"):
        grid.add_column(name, justify="right")
    names = {folder.name for folder in scores}
    for folder, summary in rows:
        name = folder.name if len(names) == len(scores) else shown(folder)
        grid.add_row(Text(printable(name)), *_cells(summary))
    Console().print(grid)


def _summary(folder: Path) -> dict[str, Any]:
    path = folder / SUMMARY_FILE
    summary = load_object(path, what="summary", hint="make it with tgl score --out")
    try:
        _cells(summary)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise CorruptInput("is not a summary of tgl score", where=path) from error
    return summary


def _cells(summary: dict[str, Any]) -> list[str]:
    groups = {group["group"]: group["JF"] for group in summary["by_referents"]}
    several = [
        (group["JF"], group["expressions"])
        for group in summary["by_referents"]
        if group["group"] not in ("0", "1") and group["JF"] is not None
    ]
    weight = sum(count for _, count in several)
    mean = sum(value * count for value, count in several) / weight if weight else None
    values = [summary["JF"], summary["J"], summary["F"], groups.get("1"), mean, groups.get("0")]
    return [*map(_percent, values), f"{summary['expressions']:,}"]


def _percent(value: float | None) -> str:
    return _NOTHING if value is None else f"{_PERCENT * value:.1f}"

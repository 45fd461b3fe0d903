"""tgl table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.errors import CorruptInput, MissingInput
from schemas.layouts import SUMMARY_FILE
from tglcli.summary import shown

_PERCENT = 100
_NOTHING = "-"


def table(
    scores: Annotated[
        list[Path],
        typer.Argument(help="Folders of tgl score --out; each gives a row.", show_default=False),
    ],
) -> None:
    """Show the scores of several runs side by side, a row a run."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    rows = [(folder, _summary(folder)) for folder in scores]
    caption = "J&F in per cent, means over sentences; then J&F by number of referents"
    grid = Table(box=box.SIMPLE_HEAD, caption=caption)
    grid.add_column("run", overflow="fold")
    for name in ("J&F", "J", "F", "1 referent", "several", "none", "n"):
        grid.add_column(name, justify="right")
    names = {folder.name for folder in scores}
    for folder, summary in rows:
        name = folder.name if len(names) == len(scores) else shown(folder)
        grid.add_row(name, *_cells(summary))
    Console().print(grid)


def _summary(folder: Path) -> dict[str, Any]:
    path = folder / SUMMARY_FILE
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        _cells(summary)
    except FileNotFoundError as error:
        raise MissingInput(
            "no such summary", where=path, hint="make it with tgl score --out"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptInput("is not a summary of tgl score", where=path) from error
    return dict(summary)


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

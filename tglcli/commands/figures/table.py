"""tgl table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import ConfigError
from schemas.printable import printable

if TYPE_CHECKING:
    from rich.table import Table

    from stages.tools.table.scores import Run

_NARROWEST = 8
_HELP = "Print {} and nothing else{}."


def table(
    scores: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER",
            help="Folders that tgl score --out wrote, one per run, or folders of such folders.",
        ),
    ],
    against: Annotated[
        Path | None,
        typer.Option(
            help="Run to subtract from each other one: paired differences of J&F.",
            show_default="none",
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help=_HELP.format("JSON", ", scores from 0 to 1"))
    ] = False,
    csv: Annotated[
        bool, typer.Option("--csv", help=_HELP.format("CSV", ", scores from 0 to 1"))
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help=_HELP.format("a Markdown table", ""))
    ] = False,
    latex: Annotated[
        bool,
        typer.Option("--latex", help=_HELP.format("a LaTeX table (booktabs)", "")),
    ] = False,
) -> None:
    """Compare the scores of several runs in one table.

    With --against also the mean paired difference of J&F to one of them, with a 95 % interval over
    videos.

    Examples:
        tgl table scores/full scores/no-oss
        tgl table scores --against scores/baseline
        tgl table scores --latex
    """
    from stages.score.results.compare import compare_runs
    from stages.tools.table.formats import FORMATS, write_runs
    from stages.tools.table.scores import find_runs

    wanted = dict(zip(FORMATS, (json, csv, markdown, latex), strict=True))
    chosen = [name for name, is_wanted in wanted.items() if is_wanted]
    if len(chosen) > 1:
        raise ConfigError(f"--{chosen[0]} and --{chosen[1]} exclude each other")
    runs = find_runs(scores)
    differences = None
    if against is not None:
        others = [run for run in runs if run.folder.resolve() != against.resolve()]
        if not others:
            raise ConfigError("is the only run", where="--against", hint="name another one")
        differences = {run.name: compare_runs(run.folder, against)["JF"] for run in others}
    if chosen:
        typer.echo(write_runs(runs, chosen[0], differences))
    else:
        _print(runs, against, differences)


def _print(runs: list[Run], against: Path | None, differences: dict[str, Any] | None) -> None:
    from rich.console import Console
    from rich.measure import Measurement

    console = Console()
    tables = [_scores_table(runs)]
    if differences is not None:
        tables.append(_differences_table(str(against), differences))
    for shown in tables:
        # A number that is cut is a wrong number: a narrow terminal gets long lines instead.
        wide = console.options.update(max_width=10_000)
        least = Measurement.get(console, wide, shown).minimum
        Console(width=max(console.width, least)).print(shown)


def _grid(caption: str, *headings: str) -> Table:
    from rich import box
    from rich.table import Table

    grid = Table(box=box.SIMPLE_HEAD, caption=caption)
    grid.add_column("run", overflow="fold", min_width=_NARROWEST)
    for name in headings:
        grid.add_column(name, justify="right", no_wrap=True)
    return grid


def _scores_table(runs: list[Run]) -> Table:
    from rich.text import Text

    from stages.tools.table.formats import percent

    grid = _grid(
        "J&F in percent, averaged over sentences; then J&F by number of referents",
        *("J&F", "J", "F", "1 referent", "several", "none", "n"),
    )
    for run in runs:
        found = run.scores
        values = (found.jf, found.j, found.f, found.one, found.several, found.none)
        name = Text(printable(run.name))
        grid.add_row(name, *map(percent, values), f"{found.expressions:,}")
    return grid


def _differences_table(against: str, differences: dict[str, Any]) -> Table:
    from rich.text import Text

    from stages.tools.table.formats import difference_texts

    about = f"J&F less that of {printable(against)}; + is better than it"
    grid = _grid(about, "difference", "95 % interval", "better", "worse")
    for name, found in differences.items():
        counts = (f"{found[part]:,}" for part in ("better", "worse"))
        grid.add_row(Text(printable(name)), *difference_texts(found), *counts)
    return grid

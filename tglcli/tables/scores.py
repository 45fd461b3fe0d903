"""The tables that `tgl score` prints: figures, their breakdowns, and the worst expressions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.documents import load_object
from schemas.layouts import SCORES_TABLE, SUMMARY_FILE
from schemas.parquet import read_table
from schemas.printable import LONG, printable
from schemas.tables import SCORES
from schemas.wording import amount

_WORST = 10
_LISTED = 3
_PERCENT = 100
_MOMENT_NAMES = {
    "presence_tiou": "presence tIoU",
    "span_tiou": "span tIoU",
    "key_frame_top1": "key frame top-1",
}

Titled = tuple[str, Table]


def print_json(artifact: Path, difference: Mapping[str, Any] | None = None) -> None:
    """Print the stored summary, with the difference to another run if given."""
    summary = load_object(artifact / SUMMARY_FILE, what="summary")
    if difference is not None:
        summary["difference"] = difference
    typer.echo(json.dumps(summary, indent=1))


def print_difference(difference: Mapping[str, Any]) -> None:
    """Print this run minus another one, with confidence intervals of the means.

    Args:
        difference: of two runs, with their names as `this` and `other`.
    """
    console = Console(highlight=False)
    this, other = (escape(printable(difference[key])) for key in ("this", "other"))
    console.print(
        f"[italic]{this} minus {other}: + if {this} is better; "
        f"{amount(difference['expressions'], 'expressions')} of "
        f"{amount(difference['videos'], 'videos')}[/]"
    )
    table = Table()
    for name in ("", "mean", "95 % interval", "better", "worse"):
        table.add_column(name, justify="right")
    for name, key in (("J&F", "JF"), ("J", "J"), ("F", "F")):
        part = difference[key]
        low, high = (f"{_PERCENT * part[end]:+.2f}" for end in ("low", "high"))
        figures = f"{_PERCENT * part['mean']:+.2f}", f"{low} to {high}"
        table.add_row(name, *figures, str(part["better"]), str(part["worse"]))
    console.print(table)


def print_scores(artifact: Path) -> None:
    """Print all tables of an artifact of score."""
    summary = load_object(artifact / SUMMARY_FILE, what="summary")
    scores = read_table(artifact / SCORES_TABLE, SCORES)
    console = Console(highlight=False)
    for titled in (
        summary_table(summary),
        no_target_table(summary),
        parts_table(summary),
        moments_table(summary),
        worst_table(scores),
    ):
        if titled is not None and titled[1].row_count:
            _print_titled(console, *titled)
    mistaken = mistaken_line(scores)
    if mistaken:
        console.print(escape(mistaken))
    faults = summary["faults"]
    if faults["frames"]:
        kinds = ", ".join(f"{count}: {kind}" for kind, count in faults["by_kind"].items())
        kinds = escape(printable(kinds, LONG))
        console.print(f"[bold red]{amount(faults['frames'], 'frames')} counted as 0[/] ({kinds})")


def _print_titled(console: Console, title: str, table: Table) -> None:
    console.print(f"[italic]{title}[/]")  # a title in the table would be folded to its width
    console.print(table)


def summary_table(summary: Mapping[str, Any]) -> Titled:
    """Make the table of main figures in percent, narrow enough for any terminal."""
    table = Table()
    for name in ("", "mean", "recall", "decay"):
        table.add_column(name, justify="right")
    for name, key in (("J&F", "JF"), ("J", "J"), ("F", "F")):
        values = (summary.get(f"{key}{part}") for part in ("", "_recall", "_decay"))
        table.add_row(name, *(percent(value) for value in values))
    title = (
        f"{summary['expressions']:,} expressions of {summary['videos']:,} videos, "
        f"{summary['frames']:,} frames ({summary['protocol']} protocol)"
    )
    return title, table


def no_target_table(summary: Mapping[str, Any]) -> Titled | None:
    """Make the table of no-target accuracy; None if all expressions have a target."""
    part = summary["no_target"]
    if part is None:
        return None
    table = Table()
    for name in ("N-acc", "T-acc", "Final"):
        table.add_column(name, justify="right")
    table.add_row(*(percent(part[key]) for key in ("N_acc", "T_acc", "Final")))
    return f"{part['expressions']:,} of the expressions have no target", table


def parts_table(summary: Mapping[str, Any]) -> Titled:
    """Make the table of scores by kind of frame, by referents and by moment length."""
    table = Table()
    table.add_column("part")
    for name in ("expressions", "J&F", "J", "F"):
        table.add_column(name, justify="right")
    for name, part in _parts(summary):
        table.add_row(
            name,
            f"{part['expressions']:,}",
            *(percent(part[key]) for key in ("JF", "J", "F")),
        )
    return "Where the score comes from", table


def _parts(summary: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for key in ("relevant", "irrelevant"):
        if summary[key]:
            yield f"{key} frames", summary[key]
    if len(summary["by_referents"]) > 1:
        for part in summary["by_referents"]:
            word = "referent" if part["group"] == "1" else "referents"
            yield f"{part['group']} {word}", part
    for part in summary["by_moment_length"]:
        yield f"moment of {part['group']}", part


def moments_table(summary: Mapping[str, Any]) -> Titled | None:
    """Make the table of predicted against annotated moments; None without predicted ones."""
    temporal = summary["temporal"]
    if temporal is None:
        return None
    table = Table()
    table.add_column("figure")
    table.add_column("%", justify="right")
    for key, value in temporal.items():
        if key != "expressions":
            table.add_row(_MOMENT_NAMES.get(key, key), percent(value))
    return f"Predicted against annotated moments, {temporal['expressions']:,} expressions", table


def worst_table(scores: pa.Table) -> Titled:
    """Make the table of the expressions with the lowest J&F, of those that have a target.

    Those without one score 0 on every frame with a mask; see :func:`mistaken_line`.
    """
    found = scores.filter(pc.greater(scores["referents"], 0))
    texts = found["expression"].null_count < found.num_rows
    table = Table()
    for name in ("expression", *(["sentence"] if texts else [])):
        table.add_column(name, overflow="fold")  # an id that is cut short finds nothing
    for name in ("J&F", "J", "F", "frames"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in found.take(_order(found, "JF", "ascending")[:_WORST]).to_pylist():
        figures = [percent(row[key]) for key in ("JF", "J", "F")]
        words = [f"{row['video_id']}/{row['expression_id']}"]
        words += [row["expression"] or ""] if texts else []
        table.add_row(*(escape(printable(word)) for word in words), *figures, str(row["frames"]))
    return "Worst expressions", table


def mistaken_line(scores: pa.Table) -> str | None:
    """List the expressions without a target that have a mask; None without any."""
    without = scores.filter(pc.equal(scores["referents"], 0))
    found = without.filter(pc.greater(pc.fill_null(without["predicted_frames"], 0), 0))
    if not found.num_rows:
        return None
    rows = found.take(_order(found, "predicted_frames", "descending")).to_pylist()
    names = [printable(f"{row['video_id']}/{row['expression_id']}") for row in rows]
    more = ", ..." if len(names) > _LISTED else ""
    return (
        f"{len(names):,} of {amount(without.num_rows, 'expressions')} without a target have "
        f"a mask, in most frames {', '.join(names[:_LISTED])}{more}"
    )


def _order(scores: pa.Table, key: str, way: str) -> pa.Array:
    """Positions of the rows sorted by a column, then by their names."""
    names = [("video_id", "ascending"), ("expression_id", "ascending")]
    return pc.sort_indices(scores, sort_keys=[(key, way), *names])


def percent(value: float | None) -> str:
    """Format a fraction in percent with one decimal; a dash if it is unknown."""
    return "-" if value is None else f"{_PERCENT * value:.1f}"

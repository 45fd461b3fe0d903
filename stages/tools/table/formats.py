"""Runs as text for other programs and for papers: JSON, CSV, Markdown, LaTeX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.printable import printable
from stages.tools.table.scores import Run

JSON, CSV, MARKDOWN, LATEX = FORMATS = ("json", "csv", "markdown", "latex")
Difference = Mapping[str, Any]
"""Mean, ends of the interval and counts of a paired difference, as score's comparison has them."""

_SCORES = (
    ("jf", "JF", "J&F"),
    ("j", "J", "J"),
    ("f", "F", "F"),
    ("one", "JF_one_referent", "1 referent"),
    ("several", "JF_several_referents", "several"),
    ("none", "JF_no_referent", "none"),
)
_DIFFERENCE = ("mean", "low", "high", "better", "worse")
_PERCENT = 100
_LONGEST = 4096
_LATEX = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
}


def write_runs(
    runs: Sequence[Run], kind: str, differences: Mapping[str, Difference] | None = None
) -> str:
    """Format runs as one of FORMATS.

    JSON and CSV have scores from 0 to 1 with all their digits, Markdown and LaTeX percent with one.

    Args:
        differences: of J&F to a baseline by the name of the run; the baseline has none.
    """
    if kind == JSON:
        return _json(runs, differences)
    if kind == CSV:
        return _csv(runs, differences)
    return _markdown(runs, differences) if kind == MARKDOWN else _latex(runs, differences)


def _json(runs: Sequence[Run], differences: Mapping[str, Difference] | None) -> str:
    rows = []
    for run in runs:
        row = {"run": run.name, "folder": str(run.folder), **_fractions(run)}
        if differences is not None:
            row["difference"] = differences.get(run.name)
        rows.append(row)
    return json.dumps(rows, indent=1)


def _csv(runs: Sequence[Run], differences: Mapping[str, Difference] | None) -> str:
    keys = ["run", "folder", *(key for _, key, _ in _SCORES), "expressions"]
    if differences is not None:
        keys += [f"difference_{part}" for part in _DIFFERENCE]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, keys, lineterminator="\n")
    writer.writeheader()
    for run in runs:
        row = {"run": _safe(run.name), "folder": _safe(run.folder), **_fractions(run)}
        found = (differences or {}).get(run.name)
        if found is not None:
            row |= {f"difference_{part}": found[part] for part in _DIFFERENCE}
        writer.writerow(row)
    return stream.getvalue().removesuffix("\n")


def _fractions(run: Run) -> dict[str, Any]:
    scores = {key: getattr(run.scores, name) for name, key, _ in _SCORES}
    return {**scores, "expressions": run.scores.expressions}


def _markdown(runs: Sequence[Run], differences: Mapping[str, Difference] | None) -> str:
    rows = _texts(runs, differences)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| "
        + " | ".join(
            _markdown_cell(cell).rjust(width) if place else _markdown_cell(cell).ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in rows
    ]
    rule = "|" + "|".join("---" if not place else "---:" for place in range(len(widths))) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _markdown_cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")


def _latex(runs: Sequence[Run], differences: Mapping[str, Difference] | None) -> str:
    head, *rows = (
        " & ".join("".join(_LATEX.get(char, char) for char in cell) for cell in row) + r" \\"
        for row in _texts(runs, differences)
    )
    columns = "l" + "r" * head.count(" & ")
    body = [r"\toprule", head, r"\midrule", *rows, r"\bottomrule"]
    return "\n".join([f"\\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}"])


def _texts(
    runs: Sequence[Run], differences: Mapping[str, Difference] | None
) -> list[tuple[str, ...]]:
    """A row of headings, and one per run."""
    more = () if differences is None else ("difference", "95 % interval")
    rows = [("run", *(heading for _, _, heading in _SCORES), "n", *more)]
    for run in runs:
        scores = [percent(getattr(run.scores, name)) for name, _, _ in _SCORES]
        rows.append((_safe(run.name), *scores, f"{run.scores.expressions:,}"))
        if differences is not None:
            rows[-1] += difference_texts(differences.get(run.name))
    return rows


def _safe(text: object) -> str:
    """A name that a terminal can show, not shortened."""
    return printable(text, _LONGEST)


def difference_texts(found: Difference | None) -> tuple[str, str]:
    """The mean and the interval of a difference in percent; dashes for the baseline itself."""
    if found is None:
        return "-", "-"
    mean, low, high = (f"{_PERCENT * found[part]:+.1f}" for part in ("mean", "low", "high"))
    return mean, f"{low} to {high}"


def percent(value: float | None) -> str:
    """Format a fraction in percent with one decimal; a dash if it is unknown."""
    return "-" if value is None else f"{_PERCENT * value:.1f}"

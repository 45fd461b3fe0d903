"""The scores of a run in one row, read from the summary of `tgl score`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.documents import load_object
from schemas.errors import CorruptInput
from schemas.layouts import SUMMARY_FILE, natural_key
from stages.core.engine.digest import require_folder

_LEVELS = ("*", "*/*")


@dataclass(frozen=True)
class RunScores:
    """Scores of a run from 0 to 1; None if no expression has one.

    Attributes:
        jf, j, f: means over all expressions.
        one, several, none: J&F of the expressions with so many referents.
        expressions: how many there are.
    """

    jf: float | None
    j: float | None
    f: float | None
    one: float | None
    several: float | None
    none: float | None
    expressions: int


@dataclass(frozen=True)
class Run:
    """A run by the name that tables show."""

    name: str
    folder: Path
    scores: RunScores


def find_runs(folders: Sequence[Path]) -> list[Run]:
    """Read the runs in folders that `tgl score --out` wrote, or in folders of such folders.

    Runs are named by their folders, or by their whole paths if two folders have the same name.

    Raises:
        TglError: as :func:`read_scores`; a folder without any run has no summary.
    """
    found = list(dict.fromkeys(run for folder in folders for run in _runs_in(folder)))
    distinct = len({run.name for run in found}) == len(found)
    return [Run(run.name if distinct else str(run), run, read_scores(run)) for run in found]


def _runs_in(folder: Path) -> list[Path]:
    """The folder itself if it is a run, else those up to two levels below, in natural order."""
    if (folder / SUMMARY_FILE).is_file():
        return [folder]
    require_folder(folder)
    below = [path.parent for level in _LEVELS for path in folder.glob(f"{level}/{SUMMARY_FILE}")]
    return sorted(below, key=lambda path: natural_key(str(path))) or [folder]


def read_scores(folder: Path) -> RunScores:
    """Read the scores of a run from the folder that `tgl score --out` wrote.

    Raises:
        MissingInput: there is no summary.
        CorruptInput: the summary is not one of tgl score.
    """
    path = folder / SUMMARY_FILE
    summary = load_object(path, what="summary", hint="make it with tgl score --out")
    try:
        return _scores(summary)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise CorruptInput("is not a summary of tgl score", where=path) from error


def _scores(summary: Mapping[str, Any]) -> RunScores:
    groups = {group["group"]: group for group in summary["by_referents"]}
    several = [group for name, group in groups.items() if name not in ("0", "1")]
    scored = [(_fraction(g["JF"]), int(g["expressions"])) for g in several]
    weighted = [(score, count) for score, count in scored if score is not None]
    total = sum(count for _, count in weighted)
    return RunScores(
        jf=_fraction(summary["JF"]),
        j=_fraction(summary["J"]),
        f=_fraction(summary["F"]),
        one=_fraction(groups["1"]["JF"]) if "1" in groups else None,
        several=sum(s * n for s, n in weighted) / total if total else None,
        none=_fraction(groups["0"]["JF"]) if "0" in groups else None,
        expressions=int(summary["expressions"]),
    )


def _fraction(value: Any) -> float | None:
    return None if value is None else float(value)

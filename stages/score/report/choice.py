"""The expressions and frames that a report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from stages.score.cases import Case, VideoCases
from stages.score.report.remarks import Key, remark

STRIP = 5
"""Frames of an expression in a row of the table."""
_HALF = 0.5


@dataclass(frozen=True)
class Shown:
    """An expression with its scores.

    Attributes:
        number: position of the video in the run.
        place: position of the case in its video.
        row: of the scores table, with the sentence as `text` and a `remark`.
        frames: its rows of the frames table.
    """

    number: int
    place: int
    video: VideoCases
    row: Mapping[str, Any]
    frames: pa.Table

    @property
    def case(self) -> Case:
        """The expression."""
        return self.video.cases[self.place]

    def column(self, name: str) -> np.ndarray:
        """A column of the frames' rows, (F,)."""
        found: np.ndarray = self.frames.column(name).to_numpy(zero_copy_only=False)
        return found

    def most_telling(self) -> int:
        """The row of the frame to show alone: with the largest disagreement, or the largest
        agreement if J of the expression is high.
        """
        union, both = self.column("union"), self.column("intersection")
        telling = union - both if self.row["J"] < _HALF else both
        return int(np.argmax(telling)) if len(telling) else 0

    def worst(self) -> int | None:
        """The row of the frame with the lowest J, the largest disagreement among equals; None if
        all are perfect.
        """
        j = self.column("J")
        if not len(j) or j.min() == 1:
            return None
        apart = self.column("union") - self.column("intersection")
        return int(np.lexsort((-apart, j))[0])

    def strip(self) -> list[int]:
        """Rows of at most STRIP frames, spread over the expression, with the worst one."""
        return spread(len(self.case.frames), self.worst())


def spread(rows: int, wanted: int | None) -> list[int]:
    """At most STRIP positions spread over `rows`; the one nearest to `wanted` gives way to it."""
    chosen = [int((place + _HALF) * rows / STRIP) for place in range(STRIP)]
    if rows <= STRIP:
        return list(range(rows))
    if wanted is not None and wanted not in chosen:
        nearest = min(chosen, key=lambda row: abs(row - wanted))
        chosen[chosen.index(nearest)] = wanted
    return sorted(chosen)


def list_shown(
    videos: Sequence[VideoCases],
    rows: Sequence[Mapping[str, Any]],
    frames: pa.Table,
    unpredicted: frozenset[Key] = frozenset(),
) -> list[Shown]:
    """List all expressions of a run, in the order of its tables.

    Args:
        unpredicted: see :func:`read_unpredicted`.
    """
    found: list[Shown] = []
    start = 0
    for number, video in enumerate(videos):
        for place, case in enumerate(video.cases):
            row = rows[len(found)]
            row = {**row, "text": case.text, "remark": remark(row, unpredicted)}
            part = frames.slice(start, len(case.frames))
            found.append(Shown(number, place, video, row, part))
            start += len(case.frames)
    return found


def worst_and_best(shown: Sequence[Shown], count: int) -> tuple[list[Shown], list[Shown]]:
    """The expressions with a target of lowest and of highest J&F; none is in both lists."""
    order = sorted((item for item in shown if item.case.tracks), key=lambda item: item.row["JF"])
    worst = order[:count]
    best = order[count:][::-1][:count]
    return worst, best


def mistaken(shown: Sequence[Shown]) -> list[Shown]:
    """The expressions without a target for which something was predicted, the most pixels first.

    All of their wrong frames score 0, so J&F alone does not rank them.
    """
    found = [item for item in shown if not item.case.tracks and item.column("predicted_area").any()]
    return sorted(found, key=lambda item: -int(item.column("predicted_area").sum()))

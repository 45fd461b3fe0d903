"""Comparing two runs on the same cases: the mean paired difference and its confidence interval.

Expressions of one video resemble each other, so videos are resampled, not expressions.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from schemas.errors import SchemaMismatch
from schemas.layouts import SCORES_TABLE
from schemas.parquet import read_table
from schemas.tables import SCORES
from schemas.wording import amount
from stages.core.statistics.resampling import drawn_videos, percentiles
from stages.score.results.frame_rows import mean

_LISTED = 3
_MEASURES = ("JF", "J", "F")


@dataclass(frozen=True)
class Difference:
    """Scores of this run less those of the other one.

    Attributes:
        low, high: bootstrap percentile interval of the mean at 95 %.
        better, worse: number of expressions for which this run scores higher or lower.
    """

    mean: float
    low: float
    high: float
    better: int
    worse: int


def compare_runs(ours: Path, other: Path) -> dict[str, Any]:
    """Compute the paired differences of two runs.

    Args:
        ours, other: artifacts of score, or their scores tables.

    Returns:
        numbers of videos and expressions, and for JF, J and F a Difference as a dictionary.

    Raises:
        SchemaMismatch: the runs do not score the same expressions.
    """
    mine, theirs = _scores(ours), _scores(other)
    _check_same(mine, theirs, other)
    keys = sorted(mine)
    videos = sorted({video for video, _ in keys})
    position = {video: index for index, video in enumerate(videos)}
    owner = np.array([position[video] for video, _ in keys])
    result: dict[str, Any] = {"videos": len(videos), "expressions": len(keys)}
    for index, name in enumerate(_MEASURES):
        gains = np.array([mine[key][index] - theirs[key][index] for key in keys])
        low, high = interval(gains, owner, len(videos))
        result[name] = asdict(
            Difference(mean(gains), low, high, int((gains > 0).sum()), int((gains < 0).sum()))
        )
    return result


def interval(gains: np.ndarray, owner: np.ndarray, videos: int) -> tuple[float, float]:
    """Compute the bootstrap interval of the mean of `gains`; videos are drawn with replacement.

    Args:
        gains: float (N,), one per case.
        owner: int (N,), the video of each case, below `videos`.
    """
    sums = np.bincount(owner, gains, minlength=videos)
    sizes = np.bincount(owner, minlength=videos)
    means = [sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1) for drawn in drawn_videos(videos)]
    return percentiles(np.concatenate(means))


def _scores(run: Path) -> dict[tuple[str, str], tuple[float, ...]]:
    path = run / SCORES_TABLE if run.is_dir() else run
    columns = ["video_id", "expression_id", *_MEASURES]
    table = read_table(path, SCORES, columns=columns)
    rows = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    return {(video, expression): tuple(figures) for video, expression, *figures in rows}


def _check_same(
    mine: dict[tuple[str, str], Any], theirs: dict[tuple[str, str], Any], other: Path
) -> None:
    differing = sorted(mine.keys() ^ theirs.keys())
    if differing:
        listed = ", ".join(f"{video}/{expression}" for video, expression in differing[:_LISTED])
        raise SchemaMismatch(
            f"{amount(len(differing), 'expressions')} in only one of the two runs, first {listed}",
            where=other,
            hint="compare runs over the same ground truth and protocol",
        )

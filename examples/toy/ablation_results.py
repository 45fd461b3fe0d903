"""Scores of the ablation's runs, and paired differences between them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy import stats

Key = tuple[str, str]
"""(video_id, expression_id)"""
Moments = dict[tuple[str, str, str], set[int]]
"""Frames of the moment by (video_id, expression_id, anno_id)."""

RESAMPLES = 4000
CONFIDENCE = 0.95
LATE, SHORT = 0.5, 0.3
WHOLE, BEFORE, INSIDE, AFTER = "", "before", "inside", "after"
PARTS = (BEFORE, INSIDE, AFTER)
"""Parts of a video: before the first relevant frame, the relevant frames, after the last one."""
NAN = float("nan")


@dataclass(frozen=True)
class Sentence:
    """Properties of a sentence that the report groups by.

    Attributes:
        referents: number of objects it refers to.
        start: first frame of its moment as a share of the video; None without a moment.
        share: relevant frames as a share of the video; None without a moment.
    """

    referents: int
    start: float | None
    share: float | None


@dataclass(frozen=True)
class Run:
    """Scores of one arm, one seed and one route.

    Attributes:
        figures: J, F and J&F of each sentence.
        parts: by part of the video, J&F of each sentence that has frames there.
        n_acc: share of the sentences without target that get empty masks.
        t_acc: share of the sentences with a target that get masks.
        auc: of the relevance of whole videos, on the split that the training validated on.
        auc_other: the same with the sentences of other videos, whose relevance must say nothing.
    """

    arm: str
    route: str
    seed: int
    figures: dict[Key, tuple[float, float, float]]
    parts: dict[str, dict[Key, float]] = field(default_factory=dict)
    n_acc: float = NAN
    t_acc: float = NAN
    auc: float = NAN
    auc_other: float = NAN

    @staticmethod
    def read(arm: str, route: str, seed: int, scores: Path, history: Path | None) -> Run:
        """Read a folder of `tgl score --out`, and the history.parquet of the training."""
        names = ["video_id", "expression_id", "J", "F", "JF"]
        rows = pq.read_table(scores / "scores.parquet", columns=names).to_pylist()
        no_target = json.loads((scores / "summary.json").read_text())["no_target"] or {}
        log = {} if history is None else _logged(history)
        return Run(
            arm,
            route,
            seed,
            {
                (row["video_id"], row["expression_id"]): (row["J"], row["F"], row["JF"])
                for row in rows
            },
            _by_part(pq.read_table(scores / "frames.parquet").to_pylist()),
            no_target.get("N_acc", NAN),
            no_target.get("T_acc", NAN),
            log.get("valid_relevance_auc", [NAN])[-1],
            log.get("valid_relevance_auc_other", [NAN])[-1],
        )

    def mean(self, keys: Iterable[Key] | None = None) -> tuple[float, float, float]:
        """J, F and J&F over sentences."""
        rows = [self.figures[key] for key in (self.figures if keys is None else keys)]
        j, f, both = np.mean(rows, axis=0) if rows else (NAN,) * 3
        return float(j), float(f), float(both)

    def scores(self, part: str = WHOLE) -> dict[Key, float]:
        """J&F of each sentence, in the whole video or in a part of it."""
        return (
            self.parts.get(part, {}) if part else {key: row[2] for key, row in self.figures.items()}
        )


def _logged(history: Path) -> dict[str, list[float]]:
    """Values by name, in order of the steps."""
    found: dict[str, list[float]] = {}
    for row in pq.read_table(history, columns=["name", "value"]).to_pylist():
        found.setdefault(row["name"], []).append(row["value"])
    return found


def _by_part(rows: Sequence[dict[str, Any]]) -> dict[str, dict[Key, float]]:
    """J&F of each sentence before, inside and after its moment, from rows of its frames."""
    by_sentence: dict[Key, list[tuple[int, bool, float]]] = {}
    for row in rows:
        key, figure = (row["video_id"], row["expression_id"]), (row["J"] + row["F"]) / 2
        by_sentence.setdefault(key, []).append((row["frame"], row["relevant"], figure))
    parts: dict[str, dict[Key, float]] = {part: {} for part in PARTS}
    for key, frames in by_sentence.items():
        number, relevant, figure = (np.array(column) for column in zip(*frames, strict=True))
        if not relevant.any():
            continue
        first, last = number[relevant].min(), number[relevant].max()
        places = {BEFORE: number < first, INSIDE: relevant, AFTER: number > last}
        for part, place in places.items():
            if place.any():
                parts[part][key] = float(figure[place].mean())
    return parts


@dataclass(frozen=True)
class Spans:
    """Predicted moments of referents against annotated ones, for one training and seed.

    Attributes:
        seed: of the training.
        ious: IoU over frames, of every referent whose moment is annotated.
        referents: of its sentence.
    """

    weights: str
    seed: int
    ious: tuple[float, ...]
    referents: tuple[int, ...]

    @staticmethod
    def read(weights: str, seed: int, predicted: Path, index: Path) -> Spans:
        """Read two moments tables; a referent without a predicted moment has IoU 0."""
        annotated, found = _moments(index / "moments.parquet"), _moments(predicted)
        sizes = {
            (row["video_id"], row["expression_id"]): len(row["anno_ids"])
            for row in pq.read_table(index / "expressions.parquet").to_pylist()
        }
        ious = [
            len(frames & found.get(key, set())) / len(frames | found.get(key, set()))
            for key, frames in annotated.items()
        ]
        return Spans(weights, seed, tuple(ious), tuple(sizes[key[:2]] for key in annotated))

    def mean(self, *, several: bool | None = None) -> float:
        """Mean IoU of all referents, or of those of sentences with one or with several."""
        kept = [
            iou
            for iou, number in zip(self.ious, self.referents, strict=True)
            if several is None or several == (number > 1)
        ]
        return float(np.mean(kept)) if kept else NAN


def _moments(table: Path) -> Moments:
    found: Moments = {}
    for row in pq.read_table(table).to_pylist():
        if row["anno_id"] is not None:
            key = row["video_id"], row["expression_id"], row["anno_id"]
            found.setdefault(key, set()).update(range(row["start_frame"], row["end_frame"]))
    return found


def read_sentences(index: Path) -> dict[Key, Sentence]:
    """Read the sentences of an index by key."""
    videos = pq.read_table(index / "videos.parquet", columns=["video_id", "num_frames"])
    length = dict(zip(*(videos.column(n).to_pylist() for n in videos.column_names), strict=True))
    relevant: dict[Key, set[int]] = {}
    for (video, expression, _), frames in _moments(index / "moments.parquet").items():
        relevant.setdefault((video, expression), set()).update(frames)
    sentences = {}
    for row in pq.read_table(index / "expressions.parquet").to_pylist():
        key = row["video_id"], row["expression_id"]
        frames, total = relevant.get(key), length[row["video_id"]]
        start = min(frames) / total if frames else None
        share = len(frames) / total if frames else None
        sentences[key] = Sentence(len(row["anno_ids"]), start, share)
    return sentences


@dataclass(frozen=True)
class Interval:
    """A mean difference and its uncertainty.

    Attributes:
        mean: of the difference.
        low: end of its interval over videos, the seeds averaged.
        high: the other end.
        seeds: half the width of its interval over seeds (Student's t); None with one seed.
    """

    mean: float
    low: float
    high: float
    seeds: float | None = None

    @property
    def is_clear(self) -> bool:
        """Whether 0 lies outside both intervals."""
        return self.low * self.high > 0 and (self.seeds is None or abs(self.mean) > self.seeds)

    def __str__(self) -> str:
        over_seeds = "" if self.seeds is None else f" ±{self.seeds:.3f}"
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]{over_seeds}"


def paired_difference(
    ours: Sequence[Run],
    theirs: Sequence[Run],
    keys: Sequence[Key],
    *,
    part: str = WHOLE,
    seed: int = 0,
) -> Interval:
    """Mean difference of J&F between two arms over the same sentences and seeds.

    The first interval is a bootstrap over videos, because sentences of a video share its
    difficulties; the seeds of an arm are averaged first. The second one is over seeds: Student's t
    of the seeds' mean differences.

    Args:
        ours: runs of one arm.
        theirs: runs of the other.
        keys: sentences to compare.
        part: of the videos; sentences without frames there are left out.
        seed: of the bootstrap.

    Raises:
        ValueError: nothing to compare.
    """
    seeds = sorted({run.seed for run in ours} & {run.seed for run in theirs})
    mine, other = ({r.seed: r.scores(part) for r in runs} for runs in (ours, theirs))
    keys = [key for key in keys if seeds and key in mine[seeds[0]]]
    if not keys:
        raise ValueError("nothing to compare")
    by_seed = np.array([[mine[s][key] - other[s][key] for key in keys] for s in seeds])  # (S, N)
    low, high = _bootstrap(by_seed.mean(0), [video for video, _ in keys], seed)
    over_seeds = None
    if len(seeds) > 1:
        spread = by_seed.mean(1).std(ddof=1) / len(seeds) ** 0.5
        over_seeds = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(seeds) - 1) * spread)
    return Interval(float(by_seed.mean()), low, high, over_seeds)


def _bootstrap(values: np.ndarray, videos: Sequence[str], seed: int) -> tuple[float, float]:
    """Interval of the mean of N values over their videos."""
    names, owner = np.unique(videos, return_inverse=True)
    totals, counts = np.bincount(owner, weights=values), np.bincount(owner)
    drawn = np.random.default_rng(seed).integers(0, len(names), (RESAMPLES, len(names)))
    means = totals[drawn].sum(1) / counts[drawn].sum(1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


ALL = "all"


def groups(sentences: dict[Key, Sentence]) -> dict[str, list[Key]]:
    """Groups of the tables: by number of referents, and by start and length of the moment."""
    kinds: dict[str, Callable[[Sentence], bool]] = {
        ALL: lambda _: True,
        "with a target": lambda s: s.referents > 0,
        "no referent": lambda s: s.referents == 0,
        "one referent": lambda s: s.referents == 1,
        "several referents": lambda s: s.referents > 1,
        "early moment": lambda s: s.start is not None and s.start < LATE,
        "late moment": lambda s: s.start is not None and s.start >= LATE,
        "short moment": lambda s: s.share is not None and s.share < SHORT,
        "long moment": lambda s: s.share is not None and s.share >= SHORT,
    }
    return {
        name: [key for key, sentence in sentences.items() if belongs(sentence)]
        for name, belongs in kinds.items()
    }

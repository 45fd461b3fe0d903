"""The ablation's statistics, its tables and its plot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

Key = tuple[str, str]
"""(video_id, expression_id)"""

RESAMPLES = 4000
CONFIDENCE = 0.95
LATE, SHORT = 0.5, 0.3
BASELINE, BASELINE_ROUTE = "BASE", "all"
SECONDS_PER_MINUTE = 60.0


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
        minutes: of training; None for a trivial reference.
    """

    arm: str
    route: str
    seed: int
    figures: dict[Key, tuple[float, float, float]]
    minutes: float | None

    @staticmethod
    def read(arm: str, route: str, seed: int, scores: Path, history: Path | None) -> Run:
        """Read scores.parquet and the training's history.parquet."""
        rows = pq.read_table(scores, columns=["video_id", "expression_id", "J", "F", "JF"])
        figures = {
            (row["video_id"], row["expression_id"]): (row["J"], row["F"], row["JF"])
            for row in rows.to_pylist()
        }
        minutes = None
        if history is not None:
            table = pq.read_table(history, filters=[("name", "=", "seconds")])
            minutes = sum(table.column("value").to_pylist()) / SECONDS_PER_MINUTE
        return Run(arm, route, seed, figures, minutes)

    def mean(self, keys: Iterable[Key] | None = None) -> tuple[float, float, float]:
        """J, F and J&F over sentences."""
        rows = [self.figures[key] for key in (self.figures if keys is None else keys)]
        j, f, both = np.mean(rows, axis=0) if rows else (np.nan,) * 3
        return float(j), float(f), float(both)


@dataclass(frozen=True)
class Interval:
    """A mean difference with its confidence interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def read_sentences(index: Path) -> dict[Key, Sentence]:
    """Read the sentences of an index by key."""
    videos = pq.read_table(index / "videos.parquet", columns=["video_id", "num_frames"])
    length = dict(zip(*(videos.column(n).to_pylist() for n in videos.column_names), strict=True))
    spans: dict[Key, list[tuple[int, int]]] = {}
    for row in pq.read_table(index / "moments.parquet").to_pylist():
        key = row["video_id"], row["expression_id"]
        spans.setdefault(key, []).append((row["start_frame"], row["end_frame"]))
    sentences = {}
    for row in pq.read_table(index / "expressions.parquet").to_pylist():
        key = row["video_id"], row["expression_id"]
        frames = {f for start, end in spans.get(key, ()) for f in range(start, end)}
        total = length[row["video_id"]]
        start = min(frames) / total if frames else None
        share = len(frames) / total if frames else None
        sentences[key] = Sentence(len(row["anno_ids"]), start, share)
    return sentences


def paired_difference(
    ours: Sequence[Run], theirs: Sequence[Run], keys: Sequence[Key], *, seed: int = 0
) -> Interval:
    """Mean difference of J&F between two arms over the same sentences and seeds.

    The interval is a bootstrap over videos, because sentences of a video share its difficulties;
    the seeds of an arm are averaged first.

    Raises:
        ValueError: nothing to compare.
    """
    seeds = sorted({run.seed for run in ours} & {run.seed for run in theirs})
    if not seeds or not keys:
        raise ValueError("nothing to compare")
    mean = {}
    for name, runs in (("ours", ours), ("theirs", theirs)):
        by_seed = {run.seed: run for run in runs}
        mean[name] = np.mean([[by_seed[s].figures[k][2] for k in keys] for s in seeds], axis=0)
    difference = mean["ours"] - mean["theirs"]
    videos = sorted({video for video, _ in keys})
    number_of = {video: number for number, video in enumerate(videos)}
    owner = np.array([number_of[video] for video, _ in keys])
    totals = np.bincount(owner, weights=difference, minlength=len(videos))
    counts = np.bincount(owner, minlength=len(videos))
    drawn = np.random.default_rng(seed).integers(0, len(videos), (RESAMPLES, len(videos)))
    means = totals[drawn].sum(1) / counts[drawn].sum(1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(difference.mean()), float(low), float(high))


def groups(sentences: dict[Key, Sentence]) -> dict[str, list[Key]]:
    """Groups of the second table: by number of referents, and by start and length of the moment."""
    kinds: dict[str, Callable[[Sentence], bool]] = {
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


def write_report(
    runs: Sequence[Run],
    references: Sequence[Run],
    sentences: dict[Key, Sentence],
    path: Path | None,
    command: str,
) -> None:
    """Print the main table; write the report to `path`, and a plot beside it, if given."""
    main = _main_table(runs, references, list(sentences))
    print(main, flush=True)
    if path is None:
        return
    plot = path.with_suffix(".svg")
    plot.write_text(_plot(runs, references), encoding="utf-8")
    parts = [
        "# Effect of each switch",
        _intro(runs, sentences, command),
        f"![J&F of every arm and route]({plot.name})",
        main,
        "## By kind of sentence",
        "J&F, mean over seeds. A moment is late if it starts in the second half of the video and "
        f"short if it covers less than {SHORT:.0%} of it.",
        _group_table(runs, references, groups(sentences)),
        "## Differences by kind of sentence",
        _difference_table(runs, groups(sentences)),
    ]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _intro(runs: Sequence[Run], sentences: dict[Key, Sentence], command: str) -> str:
    seeds = len({run.seed for run in runs})
    videos = len({video for video, _ in sentences})
    return (
        f"Made by `{command}`. {len(sentences)} sentences of {videos} toy videos, at most {seeds} "
        f"{'seed' if seeds == 1 else 'seeds'} per arm; every arm starts from the same backbone and "
        "takes the same number of steps over the same clips' videos, masks and texts. *Annotated*: "
        "routed by the true moments (oracle). *Predicted*: by the model's own relevance head. "
        "*All*: every frame takes the language path. BASE sees no moments in training, so it "
        f"cannot predict relevance. Differences are paired, to {BASELINE} with *all*; brackets are "
        f"{CONFIDENCE:.0%} bootstrap intervals over videos (seeds that both arms have are averaged "
        "first; they do not cover other seeds: see the standard deviation). The references predict "
        "true masks without reading the sentence: only scores above theirs mean something. Routed "
        "by annotated moments, a sentence without target has empty masks by construction; the "
        "column *with a target* leaves these out."
    )


def _by_arm(runs: Sequence[Run]) -> dict[tuple[str, str], list[Run]]:
    """Runs by (arm, route), in order of their first run."""
    grouped: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        grouped.setdefault((run.arm, run.route), []).append(run)
    return grouped


def _main_table(runs: Sequence[Run], references: Sequence[Run], keys: Sequence[Key]) -> str:
    by_arm = _by_arm(runs)
    base = by_arm.get((BASELINE, BASELINE_ROUTE), [])
    rows = [["arm", "moments", "J", "F", "J&F", "sd", "seeds", "J&F against BASE", "training, min"]]
    for (arm, route), same in by_arm.items():
        means = np.array([run.mean() for run in same])
        spread = f"{means[:, 2].std(ddof=1):.3f}" if len(same) > 1 else "-"
        itself = (arm, route) == (BASELINE, BASELINE_ROUTE)
        shared = {run.seed for run in same} & {run.seed for run in base}
        against = str(paired_difference(same, base, keys)) if shared and not itself else "-"
        minutes = f"{np.mean([run.minutes or 0.0 for run in same]):.1f}"
        seeds = str(len(same))
        rows.append([arm, route, *_numbers(means.mean(0)), spread, seeds, against, minutes])
    for run in references:
        rows.append([f"*{run.arm}*", "-", *_numbers(run.mean()), "-", "-", "-", "-"])
    return _table(rows)


def _group_table(
    runs: Sequence[Run], references: Sequence[Run], kinds: dict[str, list[Key]]
) -> str:
    rows = [["arm", "moments", *(f"{name} ({len(keys)})" for name, keys in kinds.items())]]
    for (arm, route), same in (_by_arm(runs) | _by_arm(references)).items():
        means = [np.mean([run.mean(keys)[2] for run in same]) for keys in kinds.values()]
        rows.append([arm, route or "-", *_numbers(means)])
    return _table(rows)


def _difference_table(runs: Sequence[Run], kinds: dict[str, list[Key]]) -> str:
    """Table of TGL against BASE and against its sampling alone, and of OSS, by group."""
    by_arm = _by_arm(runs)
    pairs = [
        (("TGL", "annotated"), (BASELINE, BASELINE_ROUTE)),
        (("TGL", "predicted"), (BASELINE, BASELINE_ROUTE)),
        (("TGL", "annotated"), ("+ moment sampling", "annotated")),
        (("TGL", "predicted"), ("+ moment sampling", "predicted")),
        (("TGL", "annotated"), ("TGL without OSS", "annotated")),
        (("TGL", "predicted"), ("TGL without OSS", "predicted")),
        (("+ OSS", "annotated"), (BASELINE, "annotated")),
        (("+ OSS", "all"), (BASELINE, BASELINE_ROUTE)),
    ]
    rows = [["difference of J&F", *kinds]]
    for one, two in pairs:
        ours, theirs = by_arm.get(one, []), by_arm.get(two, [])
        if {run.seed for run in ours} & {run.seed for run in theirs}:
            name = f"{one[0]} ({one[1]}) - {two[0]} ({two[1]})"
            rows.append(
                [
                    name,
                    *(
                        str(paired_difference(ours, theirs, keys)) if keys else "-"
                        for keys in kinds.values()
                    ),
                ]
            )
    return _table(rows)


def _numbers(values: Iterable[float]) -> list[str]:
    return [f"{value:.3f}" for value in values]


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table; the first row is its header."""
    head, *body = rows
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in body])


ROW, LINE, LEFT, RIGHT, WIDTH, TOP = 24, 13, 230, 40, 760, 46
COLOURS = {"annotated": "#0072b2", "predicted": "#e69f00", "all": "#000000"}
"""Okabe and Ito's colours, which colour-blind people can tell apart."""


def _plot(runs: Sequence[Run], references: Sequence[Run]) -> str:
    """Plot J&F of every (arm, route): a dot per seed, a bar at the mean, references dashed."""
    by_arm = _by_arm(runs)
    height = TOP + ROW * len(by_arm) + ROW + LINE * (len(references) + 1)
    values = [run.mean()[2] for run in (*runs, *references)]
    low = np.floor(min(values, default=0) * 10) / 10
    high = max(np.ceil(max(values, default=1) * 10) / 10, low + 0.1)

    def x(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-weight="bold">J&amp;F, a dot per seed</text>',
    ]
    bottom = TOP + ROW * len(by_arm)
    for tick in np.arange(round(low * 10), round(high * 10) + 1) / 10:
        parts.append(
            f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP - 12}" y2="{bottom}" '
            f'stroke="#dddddd"/><text x="{x(tick):.1f}" y="{bottom + 18}" '
            f'text-anchor="middle">{tick:.1f}</text>'
        )
    for number, run in enumerate(references):
        parts.append(_reference_line(run.arm, x(run.mean()[2]), bottom + ROW + LINE * (number + 1)))
    for number, ((arm, route), same) in enumerate(by_arm.items()):
        y = TOP + ROW * number + ROW / 2
        points = [run.mean()[2] for run in same]
        colour, mean = COLOURS[route], x(float(np.mean(points)))
        parts.append(
            f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{arm}, {route}</text>'
            f'<line x1="{mean:.1f}" x2="{mean:.1f}" y1="{y - 8}" y2="{y + 8}" '
            f'stroke="{colour}" stroke-width="3"/>'
        )
        parts += [
            f'<circle cx="{x(p):.1f}" cy="{y}" r="4" fill="{colour}" fill-opacity="0.6"/>'
            for p in points
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _reference_line(label: str, x: float, foot: float) -> str:
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 12}" y2="{foot}" '
        'stroke="#999999" stroke-dasharray="4 4"/>'
        f'<text x="{x + 3:.1f}" y="{foot}" fill="#777777" font-size="11">{label}</text>'
    )

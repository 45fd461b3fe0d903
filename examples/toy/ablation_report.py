"""The ablation's page: what was found, how to read it, and the tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ablation_arms import (
    BASE,
    EVERY,
    EVERY_WRITTEN,
    KNOWN,
    LONG,
    MDP,
    OSS,
    OWN,
    ROUTED,
    SAMPLING,
    TGL,
    TRACKS,
)
from ablation_plot import plot
from ablation_results import (
    ALL,
    CONFIDENCE,
    PARTS,
    SHORT,
    WHOLE,
    Interval,
    Key,
    Run,
    Sentence,
    Spans,
    groups,
    paired_difference,
)

Cell = tuple[str, str]
"""(arm, --moments)"""
Arms = dict[Cell, list[Run]]
"""Runs of each seed."""
BASELINE: Cell = (BASE, EVERY)


@dataclass(frozen=True)
class Comparison:
    """Two arms whose difference answers one question."""

    question: str
    ours: Cell
    theirs: Cell

    def difference(self, arms: Arms, keys: Sequence[Key], part: str = WHOLE) -> Interval | None:
        """Paired difference over sentences; None if a run or all sentences are missing."""
        try:
            return paired_difference(
                arms.get(self.ours, []), arms.get(self.theirs, []), keys, part=part
            )
        except ValueError:
            return None


COMPARISONS = (
    Comparison("TGL, its own moments, against BASE", (TGL, OWN), BASELINE),
    Comparison("TGL, annotated moments, against BASE", (TGL, KNOWN), BASELINE),
    Comparison("Moment sampling, annotated moments", (SAMPLING, KNOWN), (BASE, KNOWN)),
    Comparison(
        "MDP at inference against every frame written, weights trained without MDP",
        (ROUTED, KNOWN),
        (SAMPLING, KNOWN),
    ),
    Comparison("The same, predicted moments", (ROUTED, OWN), (SAMPLING, OWN)),
    Comparison(
        "MDP at inference against every frame written, TGL's weights",
        (OSS, KNOWN),
        (EVERY_WRITTEN, KNOWN),
    ),
    Comparison("MDP in training, annotated moments", (MDP, KNOWN), (ROUTED, KNOWN)),
    Comparison("MDP in training, predicted moments", (MDP, OWN), (ROUTED, OWN)),
    Comparison("OSS, annotated moments", (OSS, KNOWN), (MDP, KNOWN)),
    Comparison("OSS, predicted moments", (OSS, OWN), (MDP, OWN)),
    Comparison(
        "Object tracks that the masks vote for, annotated moments",
        (TRACKS.format(OSS), KNOWN),
        (OSS, KNOWN),
    ),
    Comparison(
        "Object tracks that the masks vote for, predicted moments",
        (TRACKS.format(OSS), OWN),
        (OSS, OWN),
    ),
    Comparison("Track head, annotated moments", (TGL, KNOWN), (TRACKS.format(OSS), KNOWN)),
    Comparison("Track head, predicted moments", (TGL, OWN), (TRACKS.format(OSS), OWN)),
    Comparison("All frames guided, against BASE", (TGL, EVERY), BASELINE),
    Comparison("Windows in training, annotated moments", (LONG, KNOWN), (TGL, KNOWN)),
    Comparison("Windows in training, predicted moments", (LONG, OWN), (TGL, OWN)),
)

READING = f"""\
Made by `{{command}}`: {{sentences}} sentences of {{videos}} toy videos on which nothing was chosen,
at most {{seeds}} per arm. Every arm starts from the same backbone and takes the same number of
steps over the same videos, masks and texts.

- *{BASE}*: clips from anywhere, no MDP, no OSS; it sees no moments.
- *{SAMPLING}*: clips around moments. At inference the frames of a moment are guided by language,
  and **every** frame is written to memory.
- *{ROUTED}*: the same weights; frames outside the moment only read memory.
- *{MDP}*: trained with both paths too. *{OSS}*: and with OSS, the method of the paper.
- *+ tracks*: the masks of the moment vote for object tracks; what was remembered elsewhere then
  does not matter. *{TGL}*: the track head chooses them.{{windows}}
- *annotated*: routed by the true moments. *predicted*: by the model's own relevance. *all*: every
  frame takes the language path.

Brackets are {{confidence}} bootstrap intervals over videos, the seeds averaged; ± is half of
Student's interval over the means of the seeds. *Gains* and *loses* stand where 0 lies outside
both. N-acc: sentences without target that have empty masks; T-acc: sentences with a target that
have masks. Annotated moments empty the sentences without target by construction; *with a target*
leaves these out. The references, in italics, are true masks chosen without reading the sentence:
only scores above theirs mean something."""

WITH_WINDOWS = f"\n- *{LONG}*: its relevance was trained on windows of whole videos too."

WHEN = """\
Span IoU: IoU over frames of the moment that the track head gives each true object
(`tgl select-moments --per referent`) with the annotated one; an object that it gives none counts
as 0. AUC: of the relevance of the frames of whole dev videos; *other*: with the sentence of
another video, from which only the usual time of moments can be known."""


def write_report(
    runs: Sequence[Run],
    spans: Sequence[Spans],
    references: Sequence[Run],
    sentences: dict[Key, Sentence],
    path: Path | None,
    command: str,
) -> None:
    """Print the main table; write the page to `path`, and a plot beside it, if given."""
    arms = by_arm(runs)
    kinds = groups(sentences)
    main = _main_table(arms, references, kinds)
    print(main, flush=True)
    if path is None:
        return
    drawing = path.with_suffix(".svg")
    drawing.write_text(plot(arms, references), encoding="utf-8")
    parts = [
        "# Effect of each part of the method",
        "## What was found",
        _findings(arms, kinds[ALL]),
        "## How to read it",
        _reading(runs, sentences, command),
        f"![J&F of every arm and route]({drawing.name})",
        main,
        "## Differences",
        "Paired differences of J&F. *Before*, *inside* and *after* are parts of the videos: before "
        "the first frame of the moment, its frames, after its last frame.",
        _difference_table(arms, kinds),
        "## When",
        WHEN,
        _moments_table(arms, spans),
        "## By kind of sentence",
        "J&F, mean over seeds. A moment is late if it starts in the second half of the video and "
        f"short if it covers less than {SHORT:.0%} of it.",
        _group_table(arms, references, kinds),
    ]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def by_arm(runs: Sequence[Run]) -> Arms:
    """Runs by (arm, route), in order of their first run."""
    grouped: Arms = {}
    for run in runs:
        grouped.setdefault((run.arm, run.route), []).append(run)
    return grouped


def _findings(arms: Arms, keys: Sequence[Key]) -> str:
    lines = []
    for comparison in COMPARISONS:
        found = comparison.difference(arms, keys)
        if found is not None:
            verdict = ("gains" if found.mean > 0 else "loses") if found.is_clear else "not clear"
            lines.append(f"- {comparison.question}: **{verdict}**, {found}")
    return "\n".join(lines)


def _reading(runs: Sequence[Run], sentences: dict[Key, Sentence], command: str) -> str:
    seeds = len({run.seed for run in runs})
    return READING.format(
        command=command,
        sentences=len(sentences),
        videos=len({video for video, _ in sentences}),
        seeds=f"{seeds} seed" if seeds == 1 else f"{seeds} seeds",
        confidence=f"{CONFIDENCE:.0%}",
        windows=WITH_WINDOWS if LONG in {run.arm for run in runs} else "",
    )


def _main_table(arms: Arms, references: Sequence[Run], kinds: dict[str, list[Key]]) -> str:
    target = kinds["with a target"]
    head = ["arm", "moments", "J", "F", "J&F", "sd", "with a target", "N-acc", "T-acc", "seeds"]
    rows = [[*head, "J&F against BASE"]]
    for (arm, route), same in arms.items():
        means = np.array([run.mean() for run in same])
        against = Comparison("", (arm, route), BASELINE).difference(arms, kinds[ALL])
        rows.append(
            [
                arm,
                route,
                *_numbers(means.mean(0)),
                f"{means[:, 2].std(ddof=1):.3f}" if len(same) > 1 else "-",
                *_numbers(np.mean([(r.mean(target)[2], r.n_acc, r.t_acc) for r in same], axis=0)),
                str(len(same)),
                "-" if against is None or (arm, route) == BASELINE else str(against),
            ]
        )
    for run in references:
        figures = [*run.mean(), run.mean(target)[2]]
        j, f, both, with_target = _numbers(figures)
        rows.append([f"*{run.arm}*", "-", j, f, both, "-", with_target, *["-"] * 4])
    return _table(rows)


def _difference_table(arms: Arms, kinds: dict[str, list[Key]]) -> str:
    names = [ALL, "with a target", "no referent", "one referent", "several referents"]
    rows = [["difference of J&F", *names, *PARTS]]
    for comparison in COMPARISONS:
        cells = [comparison.difference(arms, kinds[name]) for name in names]
        cells += [comparison.difference(arms, kinds[ALL], part) for part in PARTS]
        if any(cells):
            rows.append([comparison.question, *("-" if c is None else str(c) for c in cells)])
    return _table(rows)


def _moments_table(arms: Arms, spans: Sequence[Spans]) -> str:
    rows = [["training", "span IoU", "one referent", "several referents", "AUC", "AUC, other"]]
    for arm, weights in ((TGL, "tgl"), (LONG, "windows")):
        own = [found for found in spans if found.weights == weights]
        runs = arms.get((arm, OWN), [])
        if own and runs:
            figures = [(s.mean(), s.mean(several=False), s.mean(several=True)) for s in own]
            ranked = [(run.auc, run.auc_other) for run in runs]
            rows.append([arm, *_numbers([*np.mean(figures, 0), *np.mean(ranked, 0)])])
    return _table(rows)


def _group_table(arms: Arms, references: Sequence[Run], kinds: dict[str, list[Key]]) -> str:
    rows = [["arm", "moments", *(f"{name} ({len(keys)})" for name, keys in kinds.items())]]
    for (arm, route), same in (arms | by_arm(references)).items():
        means = [np.mean([run.mean(keys)[2] for run in same]) for keys in kinds.values()]
        rows.append([arm, route or "-", *_numbers(means)])
    return _table(rows)


def _numbers(values: Iterable[float]) -> list[str]:
    return ["-" if np.isnan(value) else f"{value:.3f}" for value in values]


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table; the first row is its header."""
    head, *body = rows
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in body])

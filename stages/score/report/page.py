"""The page: figures, plots, worst and best cases, and a sortable table of all expressions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.errors import TglError
from schemas.wording import amount
from stages.core.engine.runtime import Runtime
from stages.core.engine.workers.pool import map_jobs
from stages.core.pages.markup import html_text, report_text
from stages.score.cases import Case, VideoCases
from stages.score.report.assets import SCRIPT, STYLE
from stages.score.report.plots import group_bars, histogram, over_time, sparkline
from stages.score.report.thumbnails import AGREED, EXTRA, MISSED, ThumbnailJob, thumbnail

_PERCENT = 100
_HALF = 0.5
# key in the scores table, heading, kind
_COLUMNS = (
    ("video_id", "video", "text"),
    ("expression_id", "id", "text"),
    ("text", "sentence", "text"),
    ("JF", "J&F", "share"),
    ("J", "J", "share"),
    ("F", "F", "share"),
    ("J_relevant", "J relevant", "share"),
    ("J_irrelevant", "J irrelevant", "share"),
    ("presence_tiou", "presence tIoU", "share"),
    ("span_tiou", "span tIoU", "share"),
    ("referents", "referents", "number"),
    ("frames", "frames", "number"),
    ("fault_frames", "faults", "number"),
)
_ALWAYS = {"video_id", "expression_id", "JF", "J", "F", "frames"}


def report_page(
    summary: Mapping[str, Any],
    videos: Sequence[VideoCases],
    scores: pa.Table,
    frames: pa.Table,
    preds: Path,
    shown: int,
    runtime: Runtime,
) -> str:
    """Render the report as HTML.

    Args:
        scores, frames: the tables of the run, in the order of `videos`.
        shown: number of worst and of best expressions with an image.
        runtime: its workers draw the images.
    """
    rows = scores.to_pylist()
    for row, case in zip(rows, _cases(videos), strict=True):
        row["text"] = case.text
    sections = [
        _head(summary),
        _plots(summary, rows, frames, videos),
        _gallery(videos, rows, frames, preds, shown, runtime),
        _table(rows),
    ]
    title = f"tgl score: J&F {_share(summary['JF'])}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html_text(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(sections)}</main><script>{SCRIPT}</script></body></html>\n"
    )


def _cases(videos: Sequence[VideoCases]) -> Iterable[Case]:
    return (case for video in videos for case in video.cases)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{_PERCENT * value:.1f}"


def _head(summary: Mapping[str, Any]) -> str:
    line = (
        f"{amount(summary['expressions'], 'expressions')} of "
        f"{amount(summary['videos'], 'videos')}, {amount(summary['frames'], 'frames')}, "
        f"protocol {summary['protocol']}. All figures are percent."
    )
    cards = [("J&F", summary["JF"], " main"), ("J", summary["J"], ""), ("F", summary["F"], "")]
    if summary["no_target"]:
        names = (("N-acc", "N_acc"), ("T-acc", "T_acc"), ("Final", "Final"))
        cards += [(name, summary["no_target"][key], "") for name, key in names]
    for name, key in (("J relevant frames", "relevant"), ("J irrelevant frames", "irrelevant")):
        if summary[key]:
            cards.append((name, summary[key]["J"], ""))
    if summary["temporal"]:
        names = (
            ("presence tIoU", "presence_tiou"),
            ("span tIoU", "span_tiou"),
            ("R1@0.5", "R1@0.5"),
        )
        cards += [(name, summary["temporal"][key], "") for name, key in names]
        cards.append(("key frame top-1", summary["temporal"]["key_frame_top1"], ""))
    html = "".join(
        f'<div class="card{kind}"><b>{_share(value)}</b><span>{html_text(name)}</span></div>'
        for name, value, kind in cards
        if value is not None
    )
    return (
        f"<h1>Scores</h1><p>{html_text(line)}</p>{_warning(summary)}<div class=cards>{html}</div>"
    )


def _warning(summary: Mapping[str, Any]) -> str:
    faults = summary["faults"]
    if not faults["frames"]:
        return ""
    kinds = ", ".join(f"{count:,}: {kind}" for kind, count in faults["by_kind"].items())
    text = f"{faults['frames']:,} of {summary['frames']:,} frames counted as 0 ({kinds})"
    return f'<div class="warn">{html_text(text)}</div>'


def _plots(
    summary: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    frames: pa.Table,
    videos: Sequence[VideoCases],
) -> str:
    figures = [("J&F of the expressions", histogram([row["JF"] for row in rows]))]
    lengths = np.repeat(
        [video.num_frames for video in videos for _ in video.cases],
        [len(case.frames) for case in _cases(videos)],
    )
    positions = (frames.column("frame").to_numpy() + 0.5) / np.maximum(lengths, 1)
    j, f = (frames.column(name).to_numpy() for name in ("J", "F"))
    figures.append(("J and F along the video", over_time(positions, j, f)))
    for name, key, word in (
        ("J&F by number of referents", "by_referents", " referents"),
        ("J&F by moment length (share of the video)", "by_moment_length", ""),
        ("J&F by annotator", "by_annotator", ""),
    ):
        groups = [{**group, "group": group["group"] + word} for group in summary[key]]
        if len(groups) > 1:
            figures.append((name, group_bars(groups)))
    html = "".join(
        f"<figure><figcaption>{html_text(name)}</figcaption>{plot}</figure>"
        for name, plot in figures
    )
    return f'<h2>Overview</h2><div class="plots">{html}</div>'


def _gallery(
    videos: Sequence[VideoCases],
    rows: Sequence[Mapping[str, Any]],
    frames: pa.Table,
    preds: Path,
    shown: int,
    runtime: Runtime,
) -> str:
    owners = [(video, case) for video in videos for case in video.cases]
    starts = np.cumsum([0, *(len(case.frames) for _, case in owners)])
    order = sorted(range(len(rows)), key=lambda index: (rows[index]["JF"], index))
    worst = order[:shown]
    best = [index for index in reversed(order) if index not in worst][:shown]
    keys = "".join(
        f'<span class="key" style="background:rgb{colour}"></span>{name}'
        for name, colour in (("both", AGREED), ("missed", MISSED), ("too much", EXTRA))
    )
    jobs, parts = {}, {}
    for index in [*worst, *best]:
        video, case = owners[index]
        parts[index] = frames.slice(starts[index], rows[index]["frames"])
        frame = case.frames[_most_telling(parts[index], rows[index])]
        jobs[index] = ThumbnailJob(preds, video, case, frame)
    images = _draw(jobs, runtime)
    html = ""
    for name, chosen in (("Worst expressions", worst), ("Best expressions", best)):
        if not chosen:
            continue
        cards = [_card(jobs[i], rows[i], parts[i], images[i]) for i in chosen]
        html += (
            f"<h2>{name}</h2><p>{keys}; bars: J of each frame, that of the image dark; "
            f'strip: relevant frames.</p><div class="cases">{"".join(cards)}</div>'
        )
    return html


def _most_telling(frames: pa.Table, row: Mapping[str, Any]) -> int:
    """Find the row of the frame to show: with the largest disagreement, or the largest agreement
    if J of the expression is high.
    """
    union, both = (frames.column(name).to_numpy() for name in ("union", "intersection"))
    telling = union - both if row["J"] < _HALF else both
    return int(np.argmax(telling)) if len(telling) else 0


def _draw(jobs: Mapping[int, ThumbnailJob], runtime: Runtime) -> dict[int, str | None]:
    """Draw the images of `jobs`, by their keys."""
    keys = {id(job): key for key, job in jobs.items()}
    images = {}
    for job, image in map_jobs(thumbnail, jobs.values(), runtime=runtime):
        if isinstance(image, TglError):
            raise image
        images[keys[id(job)]] = image
    return images


def _card(job: ThumbnailJob, row: Mapping[str, Any], frames: pa.Table, image: str | None) -> str:
    video, case = job.video, job.case
    shown = (
        f'<img alt="prediction and truth" src="{image}">'
        if image
        else '<div class="none">no mask can be read</div>'
    )
    j, relevant = frames.column("J").to_numpy(), frames.column("relevant").to_pylist()
    spark = sparkline(j, relevant, _most_telling(frames, row))
    words = f"<div class=words>{html_text(case.text)}</div>" if case.text else ""
    name = f"{case.video_id} / {case.expression_id}, frame {video.frame_names[job.frame]}"
    figures = f"J&F {_share(row['JF'])}, J {_share(row['J'])}, F {_share(row['F'])}"
    return (
        f'<figure class="case">{shown}{spark}{words}<div class="figures">'
        f"{html_text(name)}<br>{html_text(figures)}</div></figure>"
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Render the table as JSON, from which the script fills it: thousands of rows stay light."""
    columns = [
        (key, name, kind)
        for key, name, kind in _COLUMNS
        if key in _ALWAYS or any(row[key] for row in rows)
    ]
    data = {
        "columns": [{"key": key, "kind": kind} for key, _, kind in columns],
        "rows": [[_cell(row[key]) for key, _, _ in columns] for row in rows],
    }
    # "<" is written as an escape: no sentence can end the script element.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    heads = "".join(
        f'<th scope="col" class="{kind}"><button>{html_text(name)}</button></th>'
        for _, name, kind in columns
    )
    return (
        '<h2>All expressions</h2><input id="filter" type="search" '
        'placeholder="Filter by video, id or sentence" aria-label="Filter"> '
        '<span id="count" class="figures"></span>'
        f'<div class="scroll"><table id="scores"><thead><tr>{heads}</tr></thead><tbody></tbody>'
        f'</table></div><script id="rows" type="application/json">{text}</script>'
    )


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return report_text(value)
    return round(value, 5) if isinstance(value, float) else value

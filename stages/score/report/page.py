"""The page: the run, figures, plots, worst and best cases, and a table of all expressions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.vocabulary import BEST_FRAME
from schemas.wording import amount
from stages.core.engine.runtime import Runtime
from stages.core.media.spans import spans_of
from stages.core.pages.document import Column, cards, data_table, html_page, plots
from stages.core.pages.markup import html_text, report_text
from stages.core.pages.plots import group_bars, share_histogram
from stages.core.pages.style import TABLE_SCRIPT
from stages.score.cases import VideoCases
from stages.score.config import ScoreConfig, ScoreInputs
from stages.score.report.about import about_run, view_command
from stages.score.report.assets import SCRIPT, STYLE
from stages.score.report.choice import Shown, list_shown, mistaken, worst_and_best
from stages.score.report.drawing import Drawn, draw_all
from stages.score.report.plots import over_time, sparkline
from stages.score.report.remarks import read_unpredicted

_PERCENT = 100
_COLUMNS = (
    Column("video_id", "video", "text"),
    Column("expression_id", "id", "text"),
    Column("text", "sentence", "text"),
    Column("remark", "remark", "text"),
    Column("JF", "J&F", "share"),
    Column("J", "J", "share"),
    Column("F", "F", "share"),
    Column("J_relevant", "J relevant", "share"),
    Column("J_irrelevant", "J irrelevant", "share"),
    Column("presence_tiou", "presence tIoU", "share"),
    Column("span_tiou", "span tIoU", "share"),
    Column("referents", "referents", "number"),
    Column("frames", "frames", "number"),
    Column("fault_frames", "faults", "number"),
)
_REMARKS = {BEST_FRAME: f"no moment predicted, {BEST_FRAME} instead"}
_ALWAYS = {"video_id", "expression_id", "JF", "J", "F", "frames"}
_KEYS = " ".join(
    f'<span class="legend"><span class="key {word}"></span>{word}</span>'
    for word in ("agreement", "missed", "extra")
)


def report_page(
    summary: Mapping[str, Any],
    videos: Sequence[VideoCases],
    scores: pa.Table,
    frames: pa.Table,
    inputs: ScoreInputs,
    config: ScoreConfig,
    runtime: Runtime,
) -> str:
    """Render the report as HTML.

    Args:
        scores, frames: the tables of the run, in the order of `videos`.
        config: its numbers of images.
        runtime: its workers draw the images.
    """
    shown = list_shown(videos, scores.to_pylist(), frames, read_unpredicted(inputs.preds))
    worst, best = worst_and_best(shown, config.pictures)
    without = mistaken(shown)
    galleries = [
        ("Worst expressions", "", worst),
        ("Masks without a target", _about_mistaken(summary, without), without[: config.pictures]),
        ("Best expressions", "", best),
    ]
    in_cards = [item for _, _, items in galleries for item in items]
    lowest = sorted(shown, key=lambda item: item.row["JF"])[: config.row_images]
    drawn = draw_all(inputs.preds, in_cards, lowest, runtime)
    sections = [
        f"<h1>Scores</h1>{about_run(inputs)}",
        _head(summary),
        _plots(summary, shown),
        *(_gallery(name, about, items, drawn) for name, about, items in galleries if items),
        _table(shown, lowest, drawn, inputs),
    ]
    title = f"tgl score: J&F {_share(summary['JF'])}, {inputs.preds}"
    return html_page(title, sections, style=STYLE, script=TABLE_SCRIPT + SCRIPT)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{_PERCENT * value:.1f}"


def _head(summary: Mapping[str, Any]) -> str:
    line = (
        f"{amount(summary['expressions'], 'expressions')} of "
        f"{amount(summary['videos'], 'videos')}, {amount(summary['frames'], 'frames')}, "
        f"protocol {summary['protocol']}. All figures are percent."
    )
    values = [("J&F", summary["JF"]), ("J", summary["J"]), ("F", summary["F"])]
    if summary["no_target"]:
        names = (("N-acc", "N_acc"), ("T-acc", "T_acc"), ("Final", "Final"))
        values += [(name, summary["no_target"][key]) for name, key in names]
    for name, key in (("J relevant frames", "relevant"), ("J irrelevant frames", "irrelevant")):
        if summary[key]:
            values.append((name, summary[key]["J"]))
    if summary["temporal"]:
        names = (
            ("presence tIoU", "presence_tiou"),
            ("span tIoU", "span_tiou"),
            ("R1@0.5", "R1@0.5"),
        )
        values += [(name, summary["temporal"][key]) for name, key in names]
        values.append(("key frame top-1", summary["temporal"]["key_frame_top1"]))
    texts = [(name, None if value is None else _share(value)) for name, value in values]
    return f"<p>{html_text(line)}</p>{_warning(summary)}{cards(texts, first=True)}"


def _warning(summary: Mapping[str, Any]) -> str:
    faults = summary["faults"]
    if not faults["frames"]:
        return ""
    kinds = ", ".join(f"{count:,}: {kind}" for kind, count in faults["by_kind"].items())
    text = f"{faults['frames']:,} of {summary['frames']:,} frames counted as 0 ({kinds})"
    return f'<div class="warn">{html_text(text)}</div>'


def _plots(summary: Mapping[str, Any], shown: Sequence[Shown]) -> str:
    values = [item.row["JF"] for item in shown]
    figures = [("J&F of the expressions", share_histogram(values, "J&F of an expression"))]
    positions = np.concatenate(
        [(item.column("frame") + 0.5) / max(item.video.num_frames, 1) for item in shown]
    )
    j, f = (np.concatenate([item.column(name) for item in shown]) for name in ("J", "F"))
    figures.append(("J and F along the video", over_time(positions, j, f)))
    for name, key, word in (
        ("J&F by number of referents", "by_referents", " referents"),
        ("J&F by moment length (share of the video)", "by_moment_length", ""),
        ("J&F by annotator", "by_annotator", ""),
    ):
        groups = [
            (
                f"{group['group']}{word}",
                group["JF"],
                f"{amount(group['expressions'], 'expressions')}",
            )
            for group in summary[key]
        ]
        if len(groups) > 1:
            figures.append((name, group_bars(groups)))
    return f"<h2>Overview</h2>{plots(figures)}"


def _about_mistaken(summary: Mapping[str, Any], found: Sequence[Shown]) -> str:
    part = summary["no_target"]
    if not part:
        return ""
    count = amount(part["expressions"], "expressions")
    return f"{len(found):,} of {count} without a target have a mask, the largest first."


def _gallery(name: str, about: str, items: Sequence[Shown], drawn: Drawn) -> str:
    html = "".join(_card(item, drawn) for item in items)
    return (
        f"<h2>{name}</h2><p>{html_text(about)}{'<br>' if about else ''}{_KEYS} bars: J of each "
        'frame, that of the image stressed <span class="legend"><span class="key moment"></span>'
        "relevant frames</span></p>"
        f'<div class="cases">{html}</div>'
    )


def _card(item: Shown, drawn: Drawn) -> str:
    chosen = item.most_telling()
    frame = item.case.frames[chosen]
    image = drawn.card(item, frame)
    picture = (
        f'<img alt="prediction and truth" src="data:image/jpeg;base64,{image}">'
        if image
        else '<div class="none">no mask can be read</div>'
    )
    spark = sparkline(item.column("J"), item.frames.column("relevant").to_pylist(), chosen)
    words = f"<div class=words>{html_text(item.case.text)}</div>" if item.case.text else ""
    name = f"{item.case.video_id} / {item.case.expression_id}"
    row = item.row
    figures = (
        f"frame {item.video.frame_names[frame]}; J&F {_share(row['JF'])}, J {_share(row['J'])}, "
        f"F {_share(row['F'])}"
    )
    figures += f"; {_REMARKS.get(row['remark'], row['remark'])}" if row["remark"] else ""
    return (
        f'<figure class="case">{picture}{spark}{words}<div class="figures">'
        f"{html_text(name)}<br>{html_text(figures)}</div></figure>"
    )


def _table(
    shown: Sequence[Shown], lowest: Iterable[Shown], drawn: Drawn, inputs: ScoreInputs
) -> str:
    columns = [
        column
        for column in _COLUMNS
        if column.key in _ALWAYS or any(item.row[column.key] for item in shown)
    ]
    pictured = {(item.number, item.place) for item in lowest}
    rows = [
        [*(item.row[column.key] for column in columns), *_extras(item, pictured, drawn)]
        for item in shown
    ]
    more = {
        "frames": drawn.frames,
        "view": view_command(inputs),
        "key": [0, 1],
        "without": f"Frames are shown for the {len(pictured):,} expressions of lowest J&F "
        "(--row-images).",
    }
    hint = "Filter by video, id or sentence"
    table = data_table(columns, rows, order="JF", noun="expressions", hint=hint, more=more)
    return (
        f"<h2>All expressions</h2><p>A click on a row shows its frames: {_KEYS}</p>"
        '<div class="view"><label>To open rows in <code>tgl view</code>, paste the address that it '
        'prints: <input id="address" type="url" placeholder="http://127.0.0.1:8765/?token=...">'
        f"</label></div>{table}"
    )


def _extras(item: Shown, pictured: set[tuple[int, int]], drawn: Drawn) -> list[Any]:
    """What a row has for its frames: video, images, J of each frame in percent, relevant spans."""
    if (item.number, item.place) not in pictured:
        return [item.number, [], [], []]
    j, relevant, worst = item.column("J"), item.frames.column("relevant").to_pylist(), item.worst()
    images = [
        [
            frame := item.case.frames[row],
            report_text(item.video.frame_names[frame]),
            round(float(j[row]), 3),
            relevant[row],
            row == worst,
            drawn.masks(item, frame),
            row,
        ]
        for row in item.strip()
    ]
    spans = spans_of([bool(inside) for inside in relevant])
    return [item.number, images, (_PERCENT * j).round().astype(int).tolist(), spans]

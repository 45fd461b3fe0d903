"""The page of `tgl describe`: counts, plots, and where sets of moments disagree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from schemas.wording import amount
from stages.core.engine.version import TGL_VERSION
from stages.core.index.index import Expression
from stages.core.pages.document import (
    Column,
    cards,
    data_table,
    facts,
    html_page,
    plain_table,
    plots,
)
from stages.core.pages.markup import html_text
from stages.core.pages.plots import group_bars, lines, number_histogram, share_histogram
from stages.core.pages.style import TABLE_SCRIPT
from stages.tools.describe.agreement import PairAgreement, SentenceAgreement, lanes_of
from stages.tools.describe.describe import Description
from stages.tools.describe.moment_sets import MomentSet
from stages.tools.describe.names import (
    COEFFICIENT,
    DISTRIBUTIONS,
    FIGURE_NAMES,
    counts,
    distribution_cells,
    figure,
    interval,
    referents_name,
)
from stages.tools.describe.statistics import POSITIONS, Samples

LISTED = 5000
"""Sentences in the table, those of lowest agreement; more would make the page slow."""
_DRAWN = 12
_LANES_SHOWN = 4
_LANE_WIDTH, _LANE_HEIGHT, _LANE_GAP = 600, 9, 3
_PERCENT = 100
_STYLE = """
.lanes { display: grid; grid-template-columns: 1fr; gap: 10px; }
.lanes svg { height: auto; margin-top: 4px; }
.lane { fill: var(--line); } .one { fill: var(--first); } .other { fill: var(--second); }
.key { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin: 0 4px 0 14px; }
.key.one { background: var(--first); } .key.other { background: var(--second); }
"""
_COLUMNS = (
    Column("one", "set", "text"),
    Column("other", "and set", "text"),
    Column("video_id", "video", "text"),
    Column("expression_id", "id", "text"),
    Column("text", "sentence", "text"),
    Column("frame_iou", "IoU of frames", "share"),
    Column("kappa", "kappa", "coefficient"),
    Column("span_tiou", "span tIoU", "share"),
    Column("f1@0.5", "F1 at 0.5", "share"),
    Column("start_difference", "starts, frames", "number"),
    Column("end_difference", "ends, frames", "number"),
)


def description_page(found: Description) -> str:
    """Make the page; it refers to no other file."""
    document = found.document
    sections = [_head(document), *_statistics(document, found.samples)]
    if found.pairs:
        sections += [_pairs(found), _lowest(found), _sentences(found)]
    script = TABLE_SCRIPT if found.pairs else ""
    title = f"tgl describe: {document['index']}"
    return html_page(title, sections, style=_STYLE, script=script)


def _head(document: Mapping[str, Any]) -> str:
    moments = document["moments"]
    sources = ", ".join(f"{count:,} {name}" for name, count in moments["sources"].items())
    about = facts(
        [
            ("index", document["index"]),
            ("moments", f"{moments['from']}" + (f" ({sources})" if sources else "")),
            ("made by", f"tgl {TGL_VERSION}"),
        ]
    )
    shown = {name: (number, share) for name, number, share in counts(document)}
    names = ("videos", "length of the videos", "frames", "sentences", "objects named", "spans")
    values: list[tuple[str, str | None]] = [
        (name, shown[name][0]) for name in names if name in shown
    ]
    for key, name in (
        ("sentences with no referent", "no-target sentences"),
        ("  whose moments do not overlap", "disjoint referents"),
    ):
        share = shown.get(key, ("", None))[1]
        values.append((name, None if share is None else f"{_PERCENT * share:.1f} %"))
    return f"<h1>{html_text(document['index'])}</h1>{about}{cards(values)}"


def _statistics(document: Mapping[str, Any], samples: Samples) -> Iterable[str]:
    yield f"<h2>Sentences and moments</h2>{plots(_figures(document, samples))}"
    rows = [
        (name.removesuffix("*"), *distribution_cells(document[part][key], form))
        for part, key, name, form in DISTRIBUTIONS
        if document[part][key] is not None
    ]
    numbers = [
        (name, number, "" if share is None else f"{_PERCENT * share:.1f}")
        for name, number, share in counts(document)
    ]
    yield '<h2>In numbers</h2><div class="tables">'
    yield plain_table(("", "number", "%"), numbers)
    yield plain_table(("", "mean", "median", "quartiles", "range"), rows)
    yield "</div><p>Referents per sentence: of sentences with a target.</p>"


def _figures(document: Mapping[str, Any], samples: Samples) -> Iterable[tuple[str, str]]:
    if samples.words:
        yield "Words per sentence", number_histogram(samples.words, "words")
    groups = document["referents"]["sentences_by_number"]
    if groups:
        bars = [
            (referents_name(group["referents"]), group["sentences"], "sentences")
            for group in groups
        ]
        yield "Sentences by number of referents", group_bars(bars, lambda value: f"{value:,.0f}")
    if not samples.span_frames:
        return
    total = len(samples.sentence_coverage)
    middles = (np.arange(POSITIONS) + 0.5) / POSITIONS
    yield (
        "Sentences that are true, percent",
        lines([("", middles, samples.positions / total)], "position in the video, percent"),
    )
    yield "Span lengths", number_histogram(samples.span_frames, "frames")
    if samples.span_seconds:
        yield "Span lengths in time", number_histogram(samples.span_seconds, "seconds")
    yield "Starts of spans", share_histogram(samples.starts, "percent of the video")
    yield (
        "Share of the video in which a sentence is true",
        share_histogram(samples.sentence_coverage, "percent of the video"),
    )
    if samples.visible_coverage:
        yield (
            "Share of its visible frames in which a referent is meant",
            share_histogram(samples.visible_coverage, "percent of the visible frames"),
        )
    yield "Spans per sentence", number_histogram(samples.sentence_spans, "spans")


def _pairs(found: Description) -> str:
    agreement = found.document["agreement"]
    parts = ["<h2>Agreement</h2>"]
    if agreement["all"]:
        alpha = agreement["all"]["alpha"]
        parts.append(
            f"<p>Krippendorff's alpha of all {len(found.sets)}: "
            f"{figure(alpha['value'], COEFFICIENT)} ({interval(alpha, COEFFICIENT)}).</p>"
        )
    for pair, compared in zip(agreement["pairs"], found.pairs, strict=True):
        rows = [
            (
                name,
                figure(pair["figures"][key]["value"], form),
                interval(pair["figures"][key], form),
            )
            for _, key, name, form in FIGURE_NAMES
        ]
        parts.append(
            f"<p><b>{html_text(pair['one'])}</b> and <b>{html_text(pair['other'])}</b>: "
            f"{html_text(_about_pair(pair))}</p><div class=tables>"
            f"{plain_table(('', 'value', '95 % interval'), rows)}{_iou_plot(compared)}</div>"
        )
    return "".join(parts)


def _about_pair(pair: Mapping[str, Any]) -> str:
    text = (
        f"{amount(pair['sentences'], 'sentences')} of {amount(pair['videos'], 'videos')}, "
        f"{amount(pair['matched_spans'], 'spans')} matched of {pair['spans_of_one']:,} and "
        f"{pair['spans_of_other']:,}."
    )
    for key, name in (("only_one", pair["one"]), ("only_other", pair["other"])):
        if pair[key]:
            text += f" Only {name} judges {amount(len(pair[key]), 'sentences')}, not compared."
    return text


def _iou_plot(pair: PairAgreement) -> str:
    values = [sentence.frame_iou for sentence in pair.sentences]
    if not values:
        return ""
    plot = share_histogram(values, "IoU of the frames of a sentence, percent")
    return f"<figure><figcaption>Sentences by agreement</figcaption>{plot}</figure>"


def _ranked(found: Description) -> list[tuple[PairAgreement, SentenceAgreement]]:
    """All compared sentences, the lowest agreement first."""
    compared = [(pair, sentence) for pair in found.pairs for sentence in pair.sentences]
    return sorted(compared, key=lambda item: item[1].frame_iou)


def _lowest(found: Description) -> str:
    """Draw the lanes of the sentences with the lowest agreement."""
    ranked = [item for item in _ranked(found)[:_DRAWN] if item[1].frame_iou < 1]
    if not ranked:
        return ""
    sets = {moments.name: moments for moments in found.sets}
    texts = {expression.key: expression for expression in found.index.expressions}
    shown = "".join(
        _drawn(texts[sentence.key], found, sets[pair.one], sets[pair.other], sentence)
        for pair, sentence in ranked
    )
    keys = '<span class="key one"></span>first set<span class="key other"></span>second set'
    return f"<h2>Lowest agreement</h2><p>{keys}</p><div class=lanes>{shown}</div>"


def _drawn(
    expression: Expression,
    found: Description,
    one: MomentSet,
    other: MomentSet,
    sentence: SentenceAgreement,
) -> str:
    frames = found.index.videos[expression.video_id].num_frames
    bars = []
    lanes = lanes_of(expression, (one, other))[:_LANES_SHOWN]
    for place, (lane, kind, moments) in enumerate(
        (lane, kind, moments)
        for lane in lanes
        for kind, moments in (("one", one), ("other", other))
    ):
        y = place * (_LANE_HEIGHT + _LANE_GAP) + (place // 2) * _LANE_GAP
        bars.append(_lane_bar("lane", y, 0, frames, frames))
        bars += [_lane_bar(kind, y, *span, frames) for span in moments.of(expression.key, lane)]
    height = 2 * len(lanes) * (_LANE_HEIGHT + _LANE_GAP) + len(lanes) * _LANE_GAP
    name = "/".join(expression.key)
    about = f"{one.name} and {other.name}, IoU {_PERCENT * sentence.frame_iou:.1f}, {frames} frames"
    return (
        f"<figure>{html_text(expression.text)}<div class=figures>{html_text(name)}: "
        f"{html_text(about)}</div><svg viewBox='0 0 {_LANE_WIDTH} {height}' role='img' "
        f"preserveAspectRatio='none' style='height:{height}px'>{''.join(bars)}</svg></figure>"
    )


def _lane_bar(kind: str, y: int, start: int, end: int, frames: int) -> str:
    x, width = (_LANE_WIDTH * edge / frames for edge in (start, end - start))
    title = "" if kind == "lane" else f"<title>frames {start} to {end - 1}</title>"
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" '
        f'height="{_LANE_HEIGHT}">{title}</rect>'
    )


def _sentences(found: Description) -> str:
    ranked = _ranked(found)
    texts = {expression.key: expression.text for expression in found.index.expressions}
    chosen = ranked[:LISTED]
    columns = [c for c in _COLUMNS if len(found.pairs) > 1 or c.key not in ("one", "other")]
    rows = [_row(columns, pair, sentence, texts[sentence.key]) for pair, sentence in chosen]
    cut = ""
    if len(ranked) > LISTED:
        cut = f"<p>The {LISTED:,} of {len(ranked):,} with the lowest agreement.</p>"
    hint = "Filter by video, id or sentence"
    table = data_table(columns, rows, order="frame_iou", noun="sentences", hint=hint)
    return f"<h2>All compared sentences</h2>{cut}{table}"


def _row(
    columns: Sequence[Column], pair: PairAgreement, sentence: SentenceAgreement, text: str
) -> list[Any]:
    values = {
        "one": pair.one,
        "other": pair.other,
        "video_id": sentence.key[0],
        "expression_id": sentence.key[1],
        "text": text,
        **sentence.figures,
    }
    return [values[column.key] for column in columns]

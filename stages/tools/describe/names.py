"""Names and formats of statistics and figures, for the terminal and the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

PERCENT, PLAIN, COEFFICIENT, FRAMES = ("percent", "plain", "coefficient", "frames")
_PERCENT = 100
_SECONDS_AN_HOUR, _SECONDS_A_MINUTE = 3600, 60
_SMALL = 10


class Named(NamedTuple):
    """A value of the document: its part and key, its name, and how it is written."""

    part: str
    key: str
    name: str
    form: str


DISTRIBUTIONS = (
    Named("videos", "sentences_per_video", "sentences per video", PLAIN),
    Named("videos", "frames_per_video", "frames per video", PLAIN),
    Named("videos", "seconds_per_video", "seconds per video", PLAIN),
    Named("sentences", "words_per_sentence", "words per sentence", PLAIN),
    Named("referents", "per_sentence", "referents per sentence*", PLAIN),
    Named("moments", "spans_per_sentence", "spans per sentence", PLAIN),
    Named("moments", "spans_per_referent", "spans per referent", PLAIN),
    Named("moments", "span_frames", "span, frames", PLAIN),
    Named("moments", "span_seconds", "span, seconds", PLAIN),
    Named("moments", "starts", "start, % of video", PERCENT),
    Named("moments", "ends", "end, % of video", PERCENT),
    Named("moments", "coverage_of_video", "sentence true, % of video", PERCENT),
    Named("moments", "coverage_of_video_by_referent", "referent true, % of video", PERCENT),
    Named("moments", "coverage_of_visible_frames", "referent true, % of visible", PERCENT),
)
FIGURE_NAMES = (
    Named("figures", "frame_agreement", "frames that agree, %", PERCENT),
    Named("figures", "kappa", "Cohen's kappa", COEFFICIENT),
    Named("figures", "alpha", "Krippendorff's alpha", COEFFICIENT),
    Named("figures", "frame_iou", "IoU of frames, %", PERCENT),
    Named("figures", "span_tiou", "tIoU of matched spans, %", PERCENT),
    Named("figures", "f1@0.5", "F1 of spans at 0.5, %", PERCENT),
    Named("figures", "f1@0.7", "F1 of spans at 0.7, %", PERCENT),
    Named("figures", "start_difference", "starts differ by, frames", FRAMES),
    Named("figures", "end_difference", "ends differ by, frames", FRAMES),
)


def counts(document: Mapping[str, Any]) -> Iterable[tuple[str, str, float | None]]:
    """List the counts of a description: name, number, and share of the whole where it has one."""
    videos, sentences = document["videos"], document["sentences"]
    referents, moments = document["referents"], document["moments"]
    total = sentences["count"] or 1
    yield "videos", _whole(videos["count"]), None
    if videos["seconds"] is not None:
        yield "length of the videos", duration(videos["seconds"]), None
    yield "frames", _whole(videos["frames"]), None
    yield "sentences", _whole(sentences["count"]), None
    yield "distinct sentences", _whole(sentences["distinct"]), sentences["distinct"] / total
    yield "distinct words", _whole(sentences["words"]), None
    for group in referents["sentences_by_number"]:
        name = f"sentences with {referents_name(group['referents'])}"
        yield name, _whole(group["sentences"]), group["sentences"] / total
    yield "objects named", _whole(referents["objects"]), None
    yield "spans", _whole(moments["spans"]), None
    yield "sentences with moments", *_part(sentences["with_moments"], total)
    yield "sentences that are never true", *_part(sentences["never_true"], total)
    yield "sentences without known moments", *_part(sentences["without_known_moments"], total)
    yield "sentences true in several spans", "", moments["several_spans_share"]
    yield "sentences true all the time", "", moments["whole_video_share"]
    several = referents["several_with_moments_of_each"]
    yield "sentences with moments of several referents", _whole(several), None
    yield "  whose moments do not overlap", *_part(referents["disjoint"], several)
    yield "span frames without a mask", "", moments["span_frames_without_mask_share"]


def _part(number: int | None, total: int) -> tuple[str, float | None]:
    return _whole(number), number / total if number is not None and total else None


def referents_name(number: object) -> str:
    """`no referent`, `1 referent`, `4 or more referents`."""
    if number == 0:
        return "no referent"
    return f"{number} referent" if number == 1 else f"{number} referents"


def distribution_cells(found: Mapping[str, float], form: str) -> tuple[str, ...]:
    """Format mean, median, quartiles and range of a distribution."""
    scale = _PERCENT if form == PERCENT else 1
    names = ("mean", "median", "lower_quartile", "upper_quartile", "least", "most")
    mean, median, low, high, least, most = (number(scale * found[name]) for name in names)
    return mean, median, f"{low} to {high}", f"{least} to {most}"


def figure(value: float | None, form: str) -> str:
    """Format a figure of agreement; a dash if it is undefined."""
    if value is None:
        return "-"
    if form == FRAMES:
        return f"{value:.1f}"
    return f"{_PERCENT * value:.1f}" if form == PERCENT else f"{value:.3f}"


def interval(found: Mapping[str, float | None], form: str) -> str:
    """Format an interval; a dash if there is none."""
    ends = [figure(found[end], form) for end in ("low", "high")]
    return "-" if "-" in ends else " to ".join(ends)


def number(value: float) -> str:
    """Format a number: whole as it is, else with one decimal, or two if it is small."""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.2f}" if abs(value) < _SMALL else f"{value:,.1f}"


def duration(seconds: float) -> str:
    """Format seconds: 45 s, 3 min 20 s, 1 h 5 min."""
    whole = round(seconds)
    hours, minutes = whole // _SECONDS_AN_HOUR, whole % _SECONDS_AN_HOUR // _SECONDS_A_MINUTE
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {whole % _SECONDS_A_MINUTE} s" if minutes else f"{whole} s"


def _whole(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"

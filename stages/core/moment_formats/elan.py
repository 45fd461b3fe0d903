"""ELAN .eaf: time slots in milliseconds, one tier per label."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from urllib.parse import unquote
from xml.etree.ElementTree import Element, SubElement

from schemas.errors import ConfigError, CorruptInput
from stages.core.datasets.documents.xml_tree import attribute, read_xml, write_xml
from stages.core.datasets.moment_rows import MomentRow
from stages.core.moment_formats.context import NO_FILE, MomentContext, finite_number, row_label
from stages.core.moment_formats.formats import VideoFormat

_ROOT = "ANNOTATION_DOCUMENT"
_MILLISECONDS = 1000
_RESOLUTION = 1 / _MILLISECONDS
# Above it, half a millisecond is so much of a frame that whole and half frames look alike.
_HIGHEST_RATE = 0.2 * _MILLISECONDS
_LINGUISTIC_TYPE = "default-lt"


def read_elan(path: Path, context: MomentContext) -> Iterator[MomentRow]:
    """Read the file of one video; tier or value is an expression id, `id:anno id` or the sentence.

    Raises:
        CorruptInput: not an ELAN document, a time slot without a time, or an unknown label.
        ConfigError: the frame rate is unknown.
    """
    tree = read_xml(path, _ROOT, missing=NO_FILE)
    media = tree.find("HEADER/MEDIA_DESCRIPTOR")
    name = None if media is None else media.get("MEDIA_URL") or media.get("RELATIVE_MEDIA_URL")
    video_id = context.video(unquote(name) if name else path.stem, path)
    slots = {
        attribute(slot, "TIME_SLOT_ID", path): slot.get("TIME_VALUE")
        for slot in tree.iterfind("TIME_ORDER/TIME_SLOT")
    }
    for tier in tree.iterfind("TIER"):
        where = f"{path}, tier {tier.get('TIER_ID')}"
        for annotation in tier.iterfind("ANNOTATION/ALIGNABLE_ANNOTATION"):
            expression_id, anno_id = _label(tier, annotation, video_id, context, where)
            start, end = (_time(annotation, end, slots, where) for end in (1, 2))
            span = context.span(video_id, start, end, where, resolution=_RESOLUTION)
            yield MomentRow(video_id, expression_id, anno_id, *span)


def write_elan(
    path: Path, video_id: str, rows: Iterable[MomentRow], context: MomentContext
) -> None:
    """Write the spans of one video, one tier per label.

    Raises:
        ConfigError: the frame rate is unknown, or too high for milliseconds.
    """
    highest = context.videos[video_id].highest_rate
    if highest is not None and highest > _HIGHEST_RATE:
        raise ConfigError(
            f"the milliseconds of ELAN cannot tell the frames of video {video_id} apart, at "
            f"{highest:g} fps",
            where=path,
        )
    tree = _document(video_id)
    order = SubElement(tree, "TIME_ORDER")
    tiers: dict[str, Element] = {}
    for number, row in enumerate(rows):
        label = row_label(row)
        if label not in tiers:
            attributes = {"TIER_ID": label, "LINGUISTIC_TYPE_REF": _LINGUISTIC_TYPE}
            tiers[label] = SubElement(tree, "TIER", attributes)
        slots = [f"ts{2 * number + end}" for end in (1, 2)]
        for slot, frame in zip(slots, row.span, strict=True):
            value = str(_round(context.seconds(video_id, frame, path) * _MILLISECONDS))
            SubElement(order, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=value)
        attributes = {
            "ANNOTATION_ID": f"a{number + 1}",
            "TIME_SLOT_REF1": slots[0],
            "TIME_SLOT_REF2": slots[1],
        }
        outer = SubElement(tiers[label], "ANNOTATION")
        inner = SubElement(outer, "ALIGNABLE_ANNOTATION", attributes)
        SubElement(inner, "ANNOTATION_VALUE").text = label
    SubElement(tree, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID=_LINGUISTIC_TYPE, TIME_ALIGNABLE="true")
    write_xml(path, tree)


def _document(video_id: str) -> Element:
    tree = Element(_ROOT, AUTHOR="", FORMAT="3.0", VERSION="3.0", DATE="1970-01-01T00:00:00Z")
    header = SubElement(tree, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    name = f"./{video_id}.mp4"
    SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        MEDIA_URL=name,
        RELATIVE_MEDIA_URL=name,
        MIME_TYPE="video/mp4",
    )
    return tree


def _label(
    tier: Element, annotation: Element, video_id: str, context: MomentContext, where: str
) -> tuple[str, str | None]:
    """Resolve the annotation's own value or, if it is not a label, the tier's name."""
    value = annotation.findtext("ANNOTATION_VALUE") or ""
    try:
        return context.label(video_id, value, where)
    except CorruptInput:
        return context.label(video_id, attribute(tier, "TIER_ID", where), where)


def _time(annotation: Element, end: int, slots: dict[str, str | None], where: str) -> float:
    name = attribute(annotation, f"TIME_SLOT_REF{end}", where)
    value = slots.get(name)
    if value is None:
        raise CorruptInput(f"the time slot {name} has no time", where=where)
    return finite_number(value, where) / _MILLISECONDS


def _round(value: Fraction) -> int:
    return int(value + Fraction(1, 2))


ELAN = VideoFormat(".eaf", read_elan, write_elan)

"""CVAT for video 1.1: the moments of a track are the frames in which it is not outside.

The format has no spans: an object is present from the frame of a shape on, and absent from that of
a shape with outside="1" on. A track that is never outside lasts until the end of the video.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from schemas.errors import ConfigError, CorruptInput
from stages.core.datasets.documents.xml_tree import attribute, read_xml, write_xml
from stages.core.datasets.moment_rows import MomentRow
from stages.core.media.spans import Span
from stages.core.moment_formats.context import (
    NO_FILE,
    MomentContext,
    checked_span,
    frame_number,
    row_label,
)
from stages.core.moment_formats.formats import VideoFormat

_ROOT = "annotations"
_VERSION = "1.1"
_SHAPES = ("box", "polygon", "polyline", "points", "mask", "ellipse", "cuboid", "skeleton")


def read_cvat(path: Path, context: MomentContext) -> Iterator[MomentRow]:
    """Read the file of one video; a label is an expression id, `id:anno id` or the sentence.

    Raises:
        CorruptInput: not a CVAT document, the task skips frames, or a label is unknown.
    """
    tree = read_xml(path, _ROOT, missing=NO_FILE)
    if tree.findtext(".//frame_filter"):
        raise CorruptInput(
            "its task skips frames, so that its frame numbers are not those of the video",
            where=path,
        )
    video_id = context.video(_video_name(tree, path), path)
    frames = context.videos[video_id].frames
    for number, track in enumerate(tree.iterfind("track")):
        where = f"{path}, track {track.get('id', number)}"
        label = attribute(track, "label", where)
        expression_id, anno_id = context.label(video_id, label, where)
        for start, end in _presence(track, frames, where):
            span = checked_span(start, end, where)
            yield MomentRow(video_id, expression_id, anno_id, *span)


def write_cvat(
    path: Path, video_id: str, rows: Iterable[MomentRow], context: MomentContext
) -> None:
    """Write the spans of one video as tracks of boxes over whole frames.

    Raises:
        ConfigError: spans of one referent overlap or touch; a track cannot keep them apart.
    """
    timing = context.videos[video_id]
    tree = Element(_ROOT)
    SubElement(tree, "version").text = _VERSION
    task = SubElement(SubElement(tree, "meta"), "task")
    SubElement(task, "name").text = video_id
    SubElement(task, "size").text = str(timing.frames)
    SubElement(task, "source").text = f"{video_id}.mp4"
    tracks: dict[str, list[Span]] = {}
    for row in rows:
        tracks.setdefault(row_label(row), []).append(row.span)
    for number, (label, spans) in enumerate(tracks.items()):
        track = SubElement(tree, "track", id=str(number), label=label, source="manual")
        for frame, outside in _key_frames(sorted(spans), timing.frames, label, path):
            size = {"xtl": "0", "ytl": "0", "xbr": str(timing.width), "ybr": str(timing.height)}
            state = {"frame": str(frame), "outside": str(int(outside)), "keyframe": "1"}
            SubElement(track, "box", {**state, "occluded": "0", **size, "z_order": "0"})
    write_xml(path, tree)


def _video_name(tree: Element, path: Path) -> str:
    for place in ("meta/source", "meta/task/source", "meta/task/name", "meta/job/source"):
        name = tree.findtext(place)
        if name and name.strip():
            return name.strip()
    raise CorruptInput("its meta element names no video", where=path)


def _presence(track: Element, frames: int, where: str) -> list[Span]:
    """List the spans in which a track is not outside."""
    states = sorted(
        (frame_number(attribute(shape, "frame", where), where), shape.get("outside") == "1")
        for shape in track
        if shape.tag in _SHAPES
    )
    found: list[Span] = []
    start: int | None = None
    for frame, outside in states:
        if outside and start is not None:
            found.append((start, frame))
            start = None
        elif not outside and start is None:
            start = frame
    if start is not None:
        found.append((start, frames))
    return found


def _key_frames(
    spans: list[Span], frames: int, label: str, path: Path
) -> Iterator[tuple[int, bool]]:
    """Yield (frame, whether the track is outside from it on) for spans in order."""
    before = -1
    for start, end in spans:
        if start <= before:
            raise ConfigError(
                f"the spans of {label} overlap or touch at frame {start}, a CVAT track cannot "
                "keep them apart",
                where=path,
            )
        before = end
        yield start, False
        if end < frames:
            yield end, True


CVAT = VideoFormat(".xml", read_cvat, write_cvat)

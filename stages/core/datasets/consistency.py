"""Checks of a data set's parts against each other: expressions, frames, tracks and moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from schemas.errors import CorruptInput
from schemas.wording import amount
from stages.core.datasets.faults import Faults
from stages.core.datasets.moment_rows import MomentRow
from stages.core.datasets.video_frames import VideoFrames
from stages.core.index.index import Expression
from stages.core.media.rle import Rle
from stages.core.media.spans import Span

_SHOWN = 5


@dataclass(frozen=True)
class TrackShape:
    """Number of masks of an object's track, one per frame of its video, and their size."""

    frames: int
    height: int
    width: int


def track_shapes(
    expressions: Iterable[Expression], frames: Mapping[str, VideoFrames], faults: Faults
) -> dict[str, TrackShape]:
    """Return the shape of every referenced track by anno id; no two videos may share one."""
    owners: dict[str, str] = {}
    for expression in expressions:
        for anno_id in expression.anno_ids:
            owner = owners.setdefault(anno_id, expression.video_id)
            if owner != expression.video_id:
                faults(
                    CorruptInput(
                        f"anno id {anno_id} belongs to the videos {owner} and "
                        f"{expression.video_id}",
                        where="expressions",
                    )
                )
    return {
        anno_id: TrackShape(len(found.frame_names), found.height, found.width)
        for anno_id, video in owners.items()
        if (found := frames.get(video)) is not None
    }


def check_track(
    anno_id: str, masks: list[Rle | None], shape: TrackShape, where: object, faults: Faults
) -> None:
    """Check that a track has one mask per frame of its video, all of its size."""
    if len(masks) != shape.frames:
        faults(
            CorruptInput(
                f"anno id {anno_id} has {len(masks)} masks, its video {shape.frames} frames",
                where=where,
            )
        )
    wanted = [shape.height, shape.width]
    for frame, mask in enumerate(masks):
        if mask is not None and mask["size"] != wanted:
            height, width = mask["size"]
            faults(
                CorruptInput(
                    f"mask {frame} of anno id {anno_id} is {width}x{height}, its video "
                    f"{shape.width}x{shape.height}",
                    where=where,
                )
            )
            return


def check_missing_tracks(
    wanted: Iterable[str], present: Iterable[str], where: object, faults: Faults
) -> None:
    """Check that no referenced track is missing; a split without any masks is valid."""
    found = set(present)
    missing = sorted(set(wanted) - found)
    if missing and found:
        shown = ", ".join(missing[:_SHOWN])
        faults(
            CorruptInput(
                f"no masks for {amount(len(missing), 'tracks')} of the expressions, first {shown}",
                where=where,
                hint="the files of the split do not belong together",
            )
        )


def checked_moments(
    rows: Iterable[MomentRow],
    path: Path,
    expressions: Iterable[Expression],
    lengths: Mapping[str, int],
    faults: Faults,
) -> Iterator[MomentRow]:
    """Yield the rows that fit the expressions and the lengths of the videos.

    Args:
        lengths: frames of each video.
    """
    known = {expression.key: set(expression.anno_ids) for expression in expressions}
    for row in rows:
        fault = _moment_fault(row, known, lengths)
        if fault is None:
            yield row
        else:
            place = f"{path}, video {row.video_id}, expression {row.expression_id}"
            faults(CorruptInput(fault, where=place))


def _moment_fault(
    row: MomentRow, known: Mapping[tuple[str, str], set[str]], lengths: Mapping[str, int]
) -> str | None:
    if row.key not in known:
        return "the data set has no such expression"
    if row.anno_id is not None and row.anno_id not in known[row.key]:
        return f"anno id {row.anno_id} is not a referent of it"
    frames = lengths.get(row.video_id)
    if frames is not None and row.end_frame > frames:
        return (
            f"the span [{row.start_frame}, {row.end_frame}) ends after the video's {frames} frames"
        )
    return None


def find_overlaps(rows: Iterable[MomentRow], where: object, faults: Faults) -> None:
    """Report spans of one referent that overlap."""
    spans: dict[tuple[str, str, str | None], list[Span]] = {}
    for row in rows:
        if not row.is_never:
            spans.setdefault((*row.key, row.anno_id), []).append(row.span)
    for (video, expression, anno), found in spans.items():
        found.sort()
        for (start, end), (next_start, next_end) in pairwise(found):
            if next_start < end:
                faults(
                    CorruptInput(
                        f"the spans [{start}, {end}) and [{next_start}, {next_end}) of "
                        f"{'all referents' if anno is None else f'anno id {anno}'} overlap",
                        where=f"{where}, video {video}, expression {expression}",
                    )
                )

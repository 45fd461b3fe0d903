"""A data set's parts held against each other: expressions, pictures, tracks and moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from schemas.errors import CorruptInput
from stages.core.datasets.faults import Faults
from stages.core.datasets.images import Pictures
from stages.core.datasets.records import RawExpression
from stages.core.media.rle import Rle

_SHOWN = 5
Row = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """What the track of an object must be like: its video's length and picture size."""

    frames: int
    height: int
    width: int


def track_shapes(
    expressions: Iterable[RawExpression], pictures: Mapping[str, Pictures], faults: Faults
) -> dict[str, Shape]:
    """The shape of every referenced track by anno id; two videos may not share one."""
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
        anno_id: Shape(len(found.frame_names), found.height, found.width)
        for anno_id, video in owners.items()
        if (found := pictures.get(video)) is not None
    }


def check_track(
    anno_id: str, masks: list[Rle | None], shape: Shape, where: object, faults: Faults
) -> None:
    """A track has one mask for each frame of its video, of the pictures' size."""
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
                    f"mask {frame} of anno id {anno_id} is {height} x {width}, its video "
                    f"{shape.height} x {shape.width}",
                    where=where,
                )
            )
            return


def check_missing_tracks(
    wanted: Iterable[str], present: Iterable[str], where: object, faults: Faults
) -> None:
    """Every referenced track is there; a split without any mask is as it should be."""
    there = set(present)
    missing = sorted(set(wanted) - there)
    if missing and there:
        shown = ", ".join(missing[:_SHOWN])
        faults(
            CorruptInput(
                f"{len(missing)} anno ids of the expressions have no masks, first {shown}",
                where=where,
                hint="the files of the split do not belong together",
            )
        )


def checked_moments(
    rows: Iterable[Row],
    path: Path,
    expressions: Iterable[RawExpression],
    lengths: Mapping[str, int],
    faults: Faults,
) -> Iterator[Row]:
    """Rows as they are, each held against the expressions and the videos' lengths.

    Args:
        lengths: frames of each video.
    """
    known = {expression.key: set(expression.anno_ids) for expression in expressions}
    for row in rows:
        fault = _moment_fault(row, known, lengths)
        if fault is None:
            yield row
        else:
            place = f"{path}, video {row['video_id']}, expression {row['expression_id']}"
            faults(CorruptInput(fault, where=place))


def _moment_fault(
    row: Row, known: Mapping[tuple[str, str], set[str]], lengths: Mapping[str, int]
) -> str | None:
    key = row["video_id"], row["expression_id"]
    if key not in known:
        return "the data set has no such expression"
    if row["anno_id"] is not None and row["anno_id"] not in known[key]:
        return f"anno id {row['anno_id']} is no referent of it"
    frames = lengths.get(row["video_id"])
    if frames is not None and row["end_frame"] > frames:
        return (
            f"the span [{row['start_frame']}, {row['end_frame']}) ends after the video's "
            f"{frames} frames"
        )
    return None


def find_overlaps(rows: Iterable[Row], where: object, faults: Faults) -> None:
    """Report spans of one referent that overlap or touch twice the same start."""
    spans: dict[tuple[str, str, str | None], list[tuple[int, int]]] = {}
    for row in rows:
        key = row["video_id"], row["expression_id"], row["anno_id"]
        spans.setdefault(key, []).append((row["start_frame"], row["end_frame"]))
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

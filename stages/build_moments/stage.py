"""The stage build-moments: read, check against each other, write four tables."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from schemas.errors import CorruptInput
from schemas.layouts import (
    EXPRESSIONS_TABLE,
    MASKS_TABLE,
    MOMENTS_FILE,
    MOMENTS_TABLE,
    VIDEOS_TABLE,
)
from schemas.parquet import rows_of, write_table
from schemas.tables import EXPRESSIONS, MOMENTS, VIDEOS
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.dataset import RawExpression
from stages.build_moments.mevis import MevisSplit
from stages.build_moments.moments_json import Row, read_moments_json
from stages.build_moments.pictures import Pictures, find_pictures
from stages.build_moments.tracks import write_masks
from stages.engine.progress import Progress
from stages.engine.runtime import Runtime
from stages.engine.stage import Result, Stage
from stages.engine.workspace import Workspace
from stages.index.masks import MaskStore


def run(
    config: IndexConfig,
    inputs: IndexInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Build the index; see :func:`stages.engine.execute.execute`."""
    dataset = MevisSplit(inputs.dataset)
    pictures = find_pictures(dataset, inputs.frames)
    expressions = dataset.expressions()
    lengths = _track_lengths(expressions, pictures)
    with progress.task("masks", None, "track") as task:
        counts = write_masks(dataset.tracks(), lengths, out.path / MASKS_TABLE, out.keep, task)
    _write_videos(out.path, pictures)
    _write_expressions(out.path, expressions)
    moments = _moments(config, inputs, out.path, expressions, pictures)
    write_table(out.path / MOMENTS_TABLE, moments, MOMENTS)
    return Result(
        {
            "videos": len(pictures),
            "expressions": len(expressions),
            "without target": sum(not e.object_ids and not e.anno_ids for e in expressions),
            "moments": moments.num_rows,
            "without moment": _without_moment(expressions, moments),
            "tracks": counts.tracks,
            "masks": counts.masks,
            "unreferenced tracks": counts.unreferenced,
        }
    )


STAGE = Stage("build-moments", 1, IndexConfig, IndexInputs, run)


def _track_lengths(
    expressions: list[RawExpression], pictures: dict[str, Pictures]
) -> dict[str, int]:
    """Frames of the video of every referenced anno id.

    Raises:
        CorruptInput: two videos share an anno id.
    """
    owners: dict[str, str] = {}
    for expression in expressions:
        for anno_id in expression.anno_ids:
            owner = owners.setdefault(anno_id, expression.video_id)
            if owner != expression.video_id:
                raise CorruptInput(
                    f"anno id {anno_id} belongs to the videos {owner} and {expression.video_id}",
                    where="expressions",
                )
    return {anno_id: len(pictures[video].frame_names) for anno_id, video in owners.items()}


def _write_videos(root: Path, pictures: dict[str, Pictures]) -> None:
    rows = (
        {
            "video_id": video_id,
            "num_frames": len(found.frame_names),
            "height": found.height,
            "width": found.width,
            "fps": found.fps,
            "frame_names": list(found.frame_names),
            "frame_suffix": found.suffix,
            # The scratch folder lies beside the final one: a relative path holds for both.
            "frames_dir": os.path.relpath(found.folder.resolve(), root.resolve()),
        }
        for video_id, found in pictures.items()
    )
    write_table(root / VIDEOS_TABLE, rows_of(rows, VIDEOS), VIDEOS)


def _write_expressions(root: Path, expressions: list[RawExpression]) -> None:
    rows = (
        {
            "video_id": expression.video_id,
            "expression_id": expression.expression_id,
            "expression": expression.text,
            "object_ids": list(expression.object_ids),
            "anno_ids": list(expression.anno_ids),
        }
        for expression in expressions
    )
    write_table(root / EXPRESSIONS_TABLE, rows_of(rows, EXPRESSIONS), EXPRESSIONS)


def _moments(
    config: IndexConfig,
    inputs: IndexInputs,
    root: Path,
    expressions: list[RawExpression],
    pictures: dict[str, Pictures],
) -> pa.Table:
    if config.moments_from == "visibility":
        return rows_of(_visible_moments(root, expressions), MOMENTS)
    path = inputs.moments or inputs.dataset / MOMENTS_FILE
    if inputs.moments is None and not path.exists():
        return MOMENTS.schema.empty_table()
    return rows_of(_checked(read_moments_json(path), path, expressions, pictures), MOMENTS)


def _checked(
    rows: Iterator[Row], path: Path, expressions: list[RawExpression], pictures: dict[str, Pictures]
) -> Iterator[Row]:
    """Rows as they are, each held against the expressions and the videos' lengths."""
    known = {(e.video_id, e.expression_id): set(e.anno_ids) for e in expressions}
    for row in rows:
        where = f"{path}, video {row['video_id']}, expression {row['expression_id']}"
        key = row["video_id"], row["expression_id"]
        if key not in known:
            raise CorruptInput("the data set has no such expression", where=where)
        if row["anno_id"] is not None and row["anno_id"] not in known[key]:
            raise CorruptInput(f"anno id {row['anno_id']} is no referent of it", where=where)
        frames = len(pictures[row["video_id"]].frame_names)
        if row["end_frame"] > frames:
            raise CorruptInput(
                f"the span [{row['start_frame']}, {row['end_frame']}) ends after the video's "
                f"{frames} frames",
                where=where,
            )
        yield row


def _visible_moments(root: Path, expressions: list[RawExpression]) -> Iterator[Row]:
    """A moment for every run of frames in which a referent has a mask."""
    store = MaskStore(root / MASKS_TABLE)
    for expression in expressions:
        for anno_id in expression.anno_ids:
            for start, end in _runs(sorted(store.frames_of(anno_id))):
                yield {
                    "video_id": expression.video_id,
                    "expression_id": expression.expression_id,
                    "anno_id": anno_id,
                    "start_frame": start,
                    "end_frame": end,
                    "source": "visibility",
                    "score": None,
                }
    store.close()


def _runs(frames: list[int]) -> Iterator[tuple[int, int]]:
    """Half-open runs of consecutive numbers in a sorted list."""
    for position, frame in enumerate(frames):
        if position == 0 or frames[position - 1] != frame - 1:
            start = frame
        if position + 1 == len(frames) or frames[position + 1] != frame + 1:
            yield start, frame + 1


def _without_moment(expressions: list[RawExpression], moments: pa.Table) -> int:
    found: dict[str, set[str]] = defaultdict(set)
    columns = (moments.column(name).to_pylist() for name in ("video_id", "expression_id"))
    for video, expression in zip(*columns, strict=True):
        found[video].add(expression)
    return sum(e.expression_id not in found[e.video_id] for e in expressions if e.object_ids)

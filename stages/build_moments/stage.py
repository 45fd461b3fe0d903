"""The stage build-moments: read a data set, check its parts against each other, write tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from schemas.layouts import (
    EXPRESSIONS_TABLE,
    MASKS_TABLE,
    MOMENTS_TABLE,
    VIDEOS_TABLE,
)
from schemas.parquet import read_table, rows_of
from schemas.tables import EXPRESSIONS, MASKS, MOMENTS, VIDEOS
from schemas.vocabulary import VISIBILITY
from schemas.wording import listing
from stages.build_moments.config import AUTO, IndexConfig, IndexInputs
from stages.build_moments.tracks import write_masks
from stages.core.datasets.consistency import checked_moments, track_shapes
from stages.core.datasets.faults import strict
from stages.core.datasets.layouts.registry import open_dataset
from stages.core.datasets.moment_rows import MomentRow, moment_counts, moments_table
from stages.core.datasets.records import Dataset, has_target, order_warnings_of
from stages.core.datasets.video_frames import VideoFrames, find_frames
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workspace import Workspace
from stages.core.index.index import Expression
from stages.core.index.masks import MaskStore
from stages.core.media.spans import spans_of
from stages.core.moment_formats.context import MomentContext, Timing
from stages.core.moment_formats.registry import read_moments_file


def run(
    config: IndexConfig,
    inputs: IndexInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Build the index; see :func:`stages.core.engine.execute.execute`."""
    layout = None if config.layout == AUTO else config.layout
    dataset = open_dataset(inputs.dataset, layout=layout, split=config.split, frames=inputs.frames)
    videos = find_frames(dataset, inputs.frames)
    if inputs.frames is None:  # else they are in the order of their video
        for line in order_warnings_of(dataset):
            progress.warn(line)
    expressions = dataset.expressions()
    shapes = track_shapes(expressions, videos, strict)
    with progress.task("masks", len(shapes) or None, "track") as task:
        counts = write_masks(
            dataset.tracks(runtime),
            shapes,
            out,
            source=dataset.masks,
            task=task,
        )
    _write_videos(out, videos, config.fps or None)
    _write_expressions(out, expressions)
    moments = _moments(config, inputs, dataset, out.path, expressions, videos, progress)
    out.write_table(MOMENTS_TABLE, moments, MOMENTS)
    return Result(
        {
            "videos": len(videos),
            "expressions": len(expressions),
            "without target": sum(not has_target(expression) for expression in expressions),
            **moment_counts(moments["end_frame"].to_pylist()),
            "without moment": _without_moment(expressions, moments),
            "tracks": counts.tracks,
            "masks": counts.masks,
            "unreferenced tracks": counts.unreferenced,
            **dataset.notes,
        }
    )


STAGE = Stage("build-moments", 3, IndexConfig, IndexInputs, run)


def _write_videos(out: Workspace, videos: dict[str, VideoFrames], fps: float | None) -> None:
    rows = (
        {
            "video_id": video_id,
            "num_frames": len(found.frame_names),
            "height": found.height,
            "width": found.width,
            "fps": fps if found.fps is None else found.fps,
            "frame_names": list(found.frame_names),
            "frame_suffix": found.suffix,
            # The scratch folder lies beside the final one: a relative path holds for both.
            "frames_dir": os.path.relpath(found.folder.resolve(), out.path.resolve()),
        }
        for video_id, found in videos.items()
    )
    out.write_table(VIDEOS_TABLE, rows_of(rows, VIDEOS), VIDEOS)


def _write_expressions(out: Workspace, expressions: list[Expression]) -> None:
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
    out.write_table(EXPRESSIONS_TABLE, rows_of(rows, EXPRESSIONS), EXPRESSIONS)


def _moments(
    config: IndexConfig,
    inputs: IndexInputs,
    dataset: Dataset,
    root: Path,
    expressions: list[Expression],
    videos: dict[str, VideoFrames],
    progress: Progress,
) -> pa.Table:
    path = inputs.moments or dataset.moments
    named = inputs.moments is not None or os.path.lexists(path)
    if config.moments_from == VISIBILITY or (dataset.images and not named):
        visible = _moments_of_images if dataset.images else _visible_moments
        return moments_table(visible(root, expressions))
    if not named:
        return MOMENTS.schema.empty_table()
    timings = {name: _timing(found, config.fps) for name, found in videos.items()}
    context = MomentContext(tuple(expressions), timings, config.rounding)
    name = None if config.moments_format == AUTO else config.moments_format
    rows = read_moments_file(path, name, context)
    lengths = {video: timing.frames for video, timing in timings.items()}
    moments = moments_table(checked_moments(rows, path, expressions, lengths, strict))
    _warn_of_gaps(path, moments, expressions, progress)
    return moments


def _warn_of_gaps(
    path: Path, moments: pa.Table, expressions: list[Expression], progress: Progress
) -> None:
    """Warn of a moments file without moments, and of videos that a folder has no file of.

    In one file for all videos, a video without moments is no reason to warn.
    """
    if not moments.num_rows:
        progress.warn(f"{path}: has no moments")
    elif path.is_dir():
        videos = {expression.video_id for expression in expressions if has_target(expression)}
        absent = sorted(videos - set(moments.column("video_id").to_pylist()))
        if absent:
            progress.warn(f"{path}: no moments of {listing(absent, 'videos')}")


def _timing(found: VideoFrames, fps: float) -> Timing:
    times = None if fps else found.times
    return Timing(len(found.frame_names), fps or found.fps, found.height, found.width, times)


def _visible_moments(root: Path, expressions: list[Expression]) -> Iterator[MomentRow]:
    """Yield a moment for every run of frames in which a referent has a mask."""
    store = MaskStore(root / MASKS_TABLE)
    for expression in expressions:
        for anno_id in expression.anno_ids:
            visible = sorted(store.frames_of(anno_id))
            inside = np.zeros(visible[-1] + 1 if visible else 0, bool)
            inside[visible] = True
            for span in spans_of(inside):
                yield MomentRow(*expression.key, anno_id, *span, VISIBILITY)
    store.close()


def _moments_of_images(root: Path, expressions: list[Expression]) -> Iterator[MomentRow]:
    """Yield the only frame for every referent with a mask.

    One pass over the ids: sentences come in another order than the masks, and are many.
    """
    ids = read_table(root / MASKS_TABLE, MASKS, columns=["anno_id"]).column("anno_id")
    visible = set(ids.to_pylist())
    for expression in expressions:
        for anno_id in expression.anno_ids:
            if anno_id in visible:
                yield MomentRow(*expression.key, anno_id, 0, 1, VISIBILITY)


def _without_moment(expressions: list[Expression], moments: pa.Table) -> int:
    columns = (moments.column(name).to_pylist() for name in ("video_id", "expression_id"))
    found = set(zip(*columns, strict=True))
    return sum(expression.key not in found for expression in expressions if expression.object_ids)

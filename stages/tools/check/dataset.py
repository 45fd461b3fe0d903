"""Checking a data set of any layout with the readers of build-moments, all faults collected."""

from __future__ import annotations

import os
from pathlib import Path

from schemas.errors import CorruptInput, TglError
from stages.core.datasets.consistency import (
    check_missing_tracks,
    check_track,
    checked_moments,
    find_overlaps,
    track_shapes,
)
from stages.core.datasets.documents.moments_json import read_moments_json
from stages.core.datasets.faults import Faults
from stages.core.datasets.layouts.registry import open_dataset
from stages.core.datasets.moment_rows import moment_counts
from stages.core.datasets.records import Dataset, has_target, order_warnings_of
from stages.core.datasets.video_frames import VideoFrames, find_frames
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Expression
from stages.core.media.rle import Rle
from stages.tools.check.config import AUTO, CheckConfig
from stages.tools.check.findings import Findings
from stages.tools.check.images import check_images, images_of
from stages.tools.check.names import check_names


def check_dataset(
    root: Path, config: CheckConfig, findings: Findings, runtime: Runtime, progress: Progress
) -> str:
    """Collect every fault of a data set; returns the layout's name.

    Raises:
        TglError: it cannot be opened at all.
    """
    layout = None if config.layout == AUTO else config.layout
    sentences = findings.part("sentences")
    dataset = open_dataset(root, layout=layout, split=config.split, faults=sentences)
    videos, expressions = dataset.videos(), dataset.expressions()
    findings.notes += order_warnings_of(dataset)
    check_names(videos, expressions, findings.part("names"))
    frames = find_frames(dataset, None, findings.part("frames"))
    findings.counts |= {
        "videos": len(videos),
        "frames": sum(len(video.frame_names) for video in videos),
        "expressions": len(expressions),
        "without target": sum(not has_target(expression) for expression in expressions),
        **{name: number for name, number in dataset.notes.items() if number},
    }
    _check_masks(dataset, expressions, frames, findings, runtime, progress)
    _check_moments(dataset.moments, expressions, frames, findings)
    if config.images:
        jobs = [images_of(video_id, found) for video_id, found in frames.items()]
        total = sum(len(job.paths) for job in jobs)
        with progress.task("frames", total, "frame") as task:
            check_images(jobs, runtime, findings.part("frames"), task)
    return dataset.layout


def _check_masks(
    dataset: Dataset,
    expressions: list[Expression],
    frames: dict[str, VideoFrames],
    findings: Findings,
    runtime: Runtime,
    progress: Progress,
) -> None:
    faults = findings.part("masks")
    shapes = track_shapes(expressions, frames, faults)
    referenced = {anno_id for expression in expressions for anno_id in expression.anno_ids}
    found: set[str] = set()
    masks = unreferenced = 0
    with progress.task("masks", len(shapes) or None, "track") as task:
        try:
            for anno_id, track in dataset.tracks(runtime):
                if anno_id in found:
                    faults(CorruptInput(f"anno id {anno_id} occurs twice", where=dataset.masks))
                found.add(anno_id)
                masks += sum(mask is not None for mask in track)
                shape = shapes.get(anno_id)
                unreferenced += anno_id not in referenced
                if shape is not None:
                    check_track(anno_id, track, shape, dataset.masks, faults)
                    _check_visible(anno_id, track, dataset.masks, faults)
                task.advance()
        except TglError as error:
            faults(error)
    check_missing_tracks(referenced, found, dataset.masks, faults)
    findings.counts |= {"tracks": len(found), "masks": masks, "unreferenced tracks": unreferenced}


def _check_visible(anno_id: str, track: list[Rle | None], where: Path, faults: Faults) -> None:
    if not any(mask is not None for mask in track):
        faults(CorruptInput(f"anno id {anno_id} is visible in no frame", where=where))


def _check_moments(
    path: Path,
    expressions: list[Expression],
    frames: dict[str, VideoFrames],
    findings: Findings,
) -> None:
    if not os.path.lexists(path):
        return
    faults = findings.part("moments")
    lengths = {video_id: len(found.frame_names) for video_id, found in frames.items()}
    try:
        rows = list(checked_moments(read_moments_json(path), path, expressions, lengths, faults))
    except TglError as error:
        faults(error)
        return
    find_overlaps(rows, path, faults)
    findings.counts |= moment_counts([row.end_frame for row in rows])

"""Checking an index: its tables alone, against each other, and against the pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from schemas.errors import CorruptInput, TglError
from schemas.layouts import EXPRESSIONS_TABLE, MASKS_TABLE, MOMENTS_TABLE, VIDEOS_TABLE
from schemas.parquet import read_table
from schemas.tables import EXPRESSIONS, MOMENTS, VIDEOS, TableSpec
from stages.core.datasets.consistency import checked_moments, find_overlaps
from stages.core.datasets.faults import Faults
from stages.core.datasets.moment_rows import MomentRow
from stages.core.datasets.records import RawVideo
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.index.frame_files import faults_of_frames
from stages.core.index.index import Expression, Index
from stages.core.index.masks import MaskStore
from stages.core.media.rle import decode
from stages.core.media.rle_checks import run_totals
from stages.tools.check.config import CheckConfig
from stages.tools.check.findings import Findings
from stages.tools.check.images import VideoImages, check_images
from stages.tools.check.names import check_names


def check_index(
    folder: Path, config: CheckConfig, findings: Findings, runtime: Runtime, progress: Progress
) -> None:
    """Collect every fault of an index."""
    videos = _rows(folder / VIDEOS_TABLE, VIDEOS, findings.part("videos"))
    sentences = _rows(folder / EXPRESSIONS_TABLE, EXPRESSIONS, findings.part("sentences"))
    moments = _rows(folder / MOMENTS_TABLE, MOMENTS, findings.part("moments"))
    findings.counts |= {
        "videos": len(videos),
        "frames": sum(row["num_frames"] for row in videos),
        "expressions": len(sentences),
        "moments": len(moments),
    }
    expressions = [
        Expression(
            row["video_id"],
            row["expression_id"],
            row["expression"],
            tuple(row["object_ids"]),
            tuple(row["anno_ids"]),
        )
        for row in sentences
    ]
    names = [RawVideo(row["video_id"], tuple(row["frame_names"])) for row in videos]
    check_names(names, expressions, findings.part("names"))
    _check_moments(folder / MOMENTS_TABLE, moments, expressions, videos, findings)
    _check_masks(folder, expressions, videos, findings, progress)
    _check_opens(folder, findings)
    if config.deep:
        _check_deep(folder, expressions, findings)
    if config.images:
        jobs = [_images(folder, row) for row in videos]
        with progress.task("pictures", findings.counts["frames"], "picture") as task:
            check_images(jobs, runtime, findings.part("pictures"), task)


def _check_deep(folder: Path, expressions: list[Expression], findings: Findings) -> None:
    """Compare the frames with what extract-frames recorded, and decode every mask."""
    try:
        index = Index.open(folder)
    except TglError as error:
        findings.part("tables")(error)
        return
    for video in index.videos.values():
        for fault in faults_of_frames(video):
            findings.part("pictures")(fault)
    for anno_id in dict.fromkeys(anno for e in expressions for anno in e.anno_ids):
        try:
            for frame, rle in index.masks.frames_of(anno_id).items():
                decode(rle, where=f"{folder / MASKS_TABLE}, anno id {anno_id}, frame {frame}")
        except TglError as error:
            findings.part("masks")(error)


def _rows(path: Path, spec: TableSpec, faults: Faults) -> list[dict[str, Any]]:
    try:
        return read_table(path, spec).to_pylist()
    except TglError as error:
        faults(error)
        return []


def _images(folder: Path, row: dict[str, Any]) -> VideoImages:
    root = folder / row["frames_dir"]
    paths = tuple(root / f"{name}{row['frame_suffix']}" for name in row["frame_names"])
    return VideoImages(row["video_id"], paths, row["height"], row["width"])


def _check_moments(
    path: Path,
    moments: list[dict[str, Any]],
    expressions: list[Expression],
    videos: list[dict[str, Any]],
    findings: Findings,
) -> None:
    faults = findings.part("moments")
    lengths = {row["video_id"]: row["num_frames"] for row in videos}
    known = (MomentRow(**row) for row in moments)
    rows = list(checked_moments(known, path, expressions, lengths, faults))
    find_overlaps(rows, path, faults)
    for row in rows:
        if not 0 <= row.start_frame < row.end_frame:
            span = f"[{row.start_frame}, {row.end_frame})"
            where = f"{path}, video {row.video_id}, expression {row.expression_id}"
            faults(CorruptInput(f"{span} is not a span of frames", where=where))


def _check_masks(
    folder: Path,
    expressions: list[Expression],
    videos: list[dict[str, Any]],
    findings: Findings,
    progress: Progress,
) -> None:
    faults = findings.part("masks")
    path = folder / MASKS_TABLE
    by_id = {row["video_id"]: row for row in videos}
    owners = {anno: e.video_id for e in expressions for anno in e.anno_ids}
    try:
        store = MaskStore(path)
    except TglError as error:
        faults(error)
        return
    masks = 0
    with progress.task("masks", len(owners), "track") as task:
        for anno_id, video_id in owners.items():
            try:
                masks += _check_track(store, anno_id, by_id.get(video_id), path, faults)
            except TglError as error:
                faults(error)
            task.advance()
    store.close()
    findings.counts |= {"tracks": len(owners), "masks": masks}


def _check_track(
    store: MaskStore, anno_id: str, video: dict[str, Any] | None, path: Path, faults: Faults
) -> int:
    track = store.frames_of(anno_id)
    where = f"{path}, anno id {anno_id}"
    if not track and store.has_rows:
        faults(CorruptInput("a referent has no mask in any frame", where=where))
    frames = list(track)
    totals = run_totals([track[f]["counts"] for f in frames], where=where, numbers=frames)
    sizes = np.array([track[frame]["size"] for frame in frames]).reshape(-1, 2)
    for frame, total, (height, width) in zip(frames, totals, sizes.tolist(), strict=True):
        place = f"{where}, frame {frame}"
        if total != height * width:
            faults(CorruptInput(f"the runs do not fill {height} x {width} pixels", where=place))
        if video is None:
            continue
        if not 0 <= frame < video["num_frames"]:
            faults(CorruptInput(f"its video has {video['num_frames']} frames", where=place))
        if (height, width) != (video["height"], video["width"]):
            size = f"{video['height']} x {video['width']}"
            faults(CorruptInput(f"is {height} x {width}, its video {size}", where=place))
    return len(track)


def _check_opens(folder: Path, findings: Findings) -> None:
    """Open the index as the later stages do, which check still more."""
    if findings.faults:
        return
    try:
        Index.open(folder)
    except TglError as error:
        findings.part("tables")(error)

"""Checking an index: its tables alone, against each other, and against the frames."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from schemas.errors import CorruptInput, MissingInput, TglError
from schemas.layouts import EXPRESSIONS_TABLE, MASKS_TABLE, MOMENTS_TABLE, VIDEOS_TABLE
from schemas.parquet import check_pages, read_table
from schemas.tables import EXPRESSIONS, MASKS, MOMENTS, VIDEOS, TableSpec
from stages.core.datasets.consistency import checked_moments, find_overlaps
from stages.core.datasets.faults import Faults
from stages.core.datasets.moment_rows import MomentRow, moment_counts
from stages.core.datasets.records import RawVideo
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.index.frame_files import faults_of_frames
from stages.core.index.index import Expression, Index
from stages.core.index.masks import MaskStore
from stages.core.media.rle import Rle, mask_area
from stages.core.media.rle_checks import run_totals
from stages.core.media.spans import is_row_span
from stages.tools.check.config import CheckConfig
from stages.tools.check.findings import Findings
from stages.tools.check.images import VideoImages, check_images
from stages.tools.check.names import check_names

_Row = dict[str, Any]
_NO_MASK = "a referent has no mask in any frame"


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
        **moment_counts([row["end_frame"] for row in moments]),
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
    by_id = {row["video_id"]: row for row in videos}
    owners = {anno: by_id.get(e.video_id) for e in expressions for anno in e.anno_ids}
    _check_masks(folder / MASKS_TABLE, owners, findings, progress, deep=config.deep)
    _check_opens(folder, findings)
    if config.deep:
        _check_digests(folder, findings, progress)
    if config.images:
        jobs = _images(folder, videos, findings.part("frames"))
        with progress.task("frames", findings.counts["frames"], "frame") as task:
            check_images(jobs, runtime, findings.part("frames"), task)


def _check_digests(folder: Path, findings: Findings, progress: Progress) -> None:
    """Compare every frame with what extract-frames recorded."""
    try:
        index = Index.open(folder)
    except TglError as error:
        findings.part("tables")(error)
        return
    with progress.task("digests", findings.counts["frames"], "frame") as task:
        for video in index.videos.values():
            for fault in faults_of_frames(video):
                findings.part("frames")(fault)
            task.advance(len(video.frame_names))


def _rows(path: Path, spec: TableSpec, faults: Faults) -> list[_Row]:
    try:
        return read_table(path, spec).to_pylist()
    except TglError as error:
        faults(error)
        return []


def _images(folder: Path, videos: list[_Row], faults: Faults) -> list[VideoImages]:
    """List the frames of the videos; a missing folder is one fault, not one for each frame."""
    jobs, real = [], folder.resolve()
    for row in videos:
        root = Path(os.path.normpath(real / row["frames_dir"]))
        if root.is_dir():
            paths = tuple(root / f"{name}{row['frame_suffix']}" for name in row["frame_names"])
            jobs.append(VideoImages(row["video_id"], paths, row["height"], row["width"]))
        else:
            what = "there is no such folder of frames; rebuild the index with --frames FOLDER"
            faults(MissingInput(what, where=root))
    return jobs


def _check_moments(
    path: Path,
    moments: list[_Row],
    expressions: list[Expression],
    videos: list[_Row],
    findings: Findings,
) -> None:
    faults = findings.part("moments")
    lengths = {row["video_id"]: row["num_frames"] for row in videos}
    known = (MomentRow(**row) for row in moments)
    rows = list(checked_moments(known, path, expressions, lengths, faults))
    find_overlaps(rows, path, faults)
    for row in rows:
        if not is_row_span(*row.span):
            span = f"[{row.start_frame}, {row.end_frame})"
            where = f"{path}, video {row.video_id}, expression {row.expression_id}"
            faults(CorruptInput(f"{span} is not a span of frames", where=where))


def _check_masks(
    path: Path,
    owners: Mapping[str, _Row | None],
    findings: Findings,
    progress: Progress,
    *,
    deep: bool,
) -> None:
    """Check the tracks of all referents; if `deep`, every row of the table.

    Args:
        owners: video of each referent, by anno id; None if it is missing from the table.
    """
    faults = findings.part("masks")
    check_all = _check_every_mask if deep else _check_tracks
    try:
        if deep:
            check_pages(path, MASKS)
        store = MaskStore(path)
    except TglError as error:
        faults(error)
        return
    masks = check_all(store, owners, path, faults, progress)
    store.close()
    findings.counts |= {"tracks": len(owners), "masks": masks}


def _check_tracks(
    store: MaskStore,
    owners: Mapping[str, _Row | None],
    path: Path,
    faults: Faults,
    progress: Progress,
) -> int:
    """Check runs, sizes and frame numbers of each track; returns the number of masks."""
    masks = 0
    with progress.task("masks", len(owners), "track") as task:
        for anno_id, video in owners.items():
            try:
                masks += _check_track(store, anno_id, video, path, faults)
            except TglError as error:
                faults(error)
            task.advance()
    return masks


def _check_track(
    store: MaskStore, anno_id: str, video: _Row | None, path: Path, faults: Faults
) -> int:
    track = store.frames_of(anno_id)
    where = _place(path, anno_id, video)
    if not track and store.has_rows:
        faults(CorruptInput(_NO_MASK, where=where))
    frames = list(track)
    totals = run_totals([track[f]["counts"] for f in frames], where=where, numbers=frames)
    sizes = np.array([track[frame]["size"] for frame in frames]).reshape(-1, 2)
    for frame, total, (height, width) in zip(frames, totals, sizes.tolist(), strict=True):
        place = f"{where}, frame {frame}"
        if total != height * width:
            faults(CorruptInput(f"the runs do not fill {width}x{height} pixels", where=place))
        for fault in _misfits(frame, (height, width), video, place):
            faults(fault)
    return len(track)


def _check_every_mask(
    store: MaskStore,
    owners: Mapping[str, _Row | None],
    path: Path,
    faults: Faults,
    progress: Progress,
) -> int:
    """Check each row, also of unreferenced tracks; returns the number of masks."""
    masks: Counter[str] = Counter()
    before = ("", -1)
    with progress.task("masks", store.num_rows, "mask") as task:
        for group in range(store.num_groups):
            try:
                rows = store.group(group).to_pylist()
            except TglError as error:
                faults(error)
                continue
            for row in rows:
                masks[row["anno_id"]] += 1
                for fault in _faults_of_row(row, before, owners.get(row["anno_id"]), path):
                    faults(fault)
                before = row["anno_id"], row["frame"]
            task.advance(len(rows))
    for anno_id, video in owners.items():
        if not masks[anno_id] and store.has_rows:
            faults(CorruptInput(_NO_MASK, where=_place(path, anno_id, video)))
    return masks.total()


def _faults_of_row(
    row: _Row, before: tuple[str, int], video: _Row | None, path: Path
) -> Iterator[TglError]:
    """Yield the faults of one mask: of its order, runs, area, frame and size.

    Args:
        before: anno id and frame of the previous row.
    """
    place = f"{_place(path, row['anno_id'], video)}, frame {row['frame']}"
    size = row["height"], row["width"]
    if (row["anno_id"], row["frame"]) <= before:
        yield CorruptInput("the row is not sorted by anno id and frame", where=place)
    try:
        area = mask_area(Rle(size=[*size], counts=row["counts"]), where=place)
    except CorruptInput as error:
        yield error
    else:
        if area != row["area"]:
            yield CorruptInput(f"has {area} pixels, its area says {row['area']}", where=place)
    yield from _misfits(row["frame"], size, video, place)


def _misfits(
    frame: int, size: tuple[int, int], video: _Row | None, place: str
) -> Iterator[TglError]:
    """Yield the faults of a mask of (H, W) pixels whose size or frame is not one of its video."""
    if video is None:
        return
    if not 0 <= frame < video["num_frames"]:
        yield CorruptInput(f"its video has {video['num_frames']} frames", where=place)
    height, width = size
    if size != (video["height"], video["width"]):
        wanted = f"{video['width']}x{video['height']}"
        yield CorruptInput(f"is {width}x{height}, its video {wanted}", where=place)


def _place(path: Path, anno_id: str, video: _Row | None) -> str:
    """Place of a track, for messages."""
    owner = f", video {video['video_id']}" if video else ""
    return f"{path}{owner}, anno id {anno_id}"


def _check_opens(folder: Path, findings: Findings) -> None:
    """Open the index as the later stages do, which check still more."""
    if findings.faults:
        return
    try:
        Index.open(folder)
    except TglError as error:
        findings.part("tables")(error)

"""The stage export-masks: each video is a unit; one that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from schemas.errors import MissingInput, TglError
from schemas.wording import listing, suggestion
from stages.core.engine.digest import text_digest
from stages.core.engine.failures import input_failure, nothing_done
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workers.pool import map_jobs
from stages.core.engine.workspace import Workspace
from stages.tools.export_masks.config import (
    AUTO,
    REFERENT,
    SENTENCE,
    ExportConfig,
    ExportInputs,
)
from stages.tools.export_masks.formats.registry import mask_format
from stages.tools.export_masks.index_source import IndexSource
from stages.tools.export_masks.prediction_source import PredictionSource
from stages.tools.export_masks.records import ExportVideo, MaskRow, MaskSource

_ROWS = pa.schema(
    [
        *((name, pa.int32()) for name in ("object", "frame", "x", "y", "width", "height")),
        *(("area", pa.int64()), ("lost", pa.int64()), ("counts", pa.binary())),
    ]
)
"""Rows of a unit, as :class:`MaskRow`."""


@dataclass(frozen=True)
class _Job:
    """A video to export, possibly in another process."""

    config: ExportConfig
    inputs: ExportInputs
    video: ExportVideo
    labels: tuple[str, ...]
    root: Path


def run(
    config: ExportConfig,
    inputs: ExportInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Export every video; see :func:`stages.core.engine.execute.execute`."""
    source = _open(inputs, config.per)
    videos = _selected(source.videos(), config.only, inputs.source)
    labels = tuple(dict.fromkeys(known.label for video in videos for known in video.objects))
    key = text_digest(repr((sorted(inputs.digests().items()), labels)))
    tables = {video.video_id: out.finished(video.video_id, key) for video in videos}
    jobs = [
        _Job(config, inputs, video, labels, out.path)
        for video in videos
        if tables[video.video_id] is None
    ]
    failures: dict[str, TglError] = {}
    with progress.task(f"export-masks, {config.format}", len(videos), "video") as task:
        task.advance(len(videos) - len(jobs))
        for job, done in map_jobs(_export, jobs, runtime=runtime):
            task.advance()
            if isinstance(done, TglError):
                failures[job.video.video_id] = input_failure(done)
                continue
            rows, files = done
            out.finish(job.video.video_id, key, rows, [out.path / name for name in files])
            tables[job.video.video_id] = rows
    if failures and len(failures) == len(videos):
        raise nothing_done(failures, "video")
    finished = [video for video in videos if tables[video.video_id] is not None]
    masks = [tables[video.video_id] for video in finished]
    mask_format(config.format).write_whole(finished, map(_rows, masks), out.path, list(labels))
    counts = _counts(finished, masks, config, len(failures))
    lines = {name: str(error) for name, error in failures.items()}
    return Result(counts | source.left_out(finished), lines)


STAGE = Stage("export-masks", 1, ExportConfig, ExportInputs, run)


@lru_cache(maxsize=1)
def _open(inputs: ExportInputs, per: str) -> MaskSource:
    """Open the masks; once in each process."""
    if inputs.is_index:
        return IndexSource(inputs.source, REFERENT if per == AUTO else per)
    return PredictionSource(inputs.source, inputs.index, SENTENCE if per == AUTO else per)


def _export(job: _Job) -> tuple[pa.Table, list[str]]:
    """Write one video; its rows, and its files below the root."""
    source = _open(job.inputs, job.config.per)
    tracks = list(source.tracks(job.video))
    writer = mask_format(job.config.format)
    rows, files = writer.write_video(job.video, tracks, job.root, list(job.labels))
    table = pa.Table.from_pylist([row._asdict() for row in rows], _ROWS)
    return table, [path.relative_to(job.root).as_posix() for path in files]


def _rows(table: pa.Table) -> list[MaskRow]:
    columns = [table.column(name).to_pylist() for name in _ROWS.names]
    return [MaskRow(*values) for values in zip(*columns, strict=True)]


def _selected(videos: Sequence[ExportVideo], only: Sequence[str], where: Path) -> list[ExportVideo]:
    """The videos that --only names, or all."""
    names = [video.video_id for video in videos]
    if not any(video.objects for video in videos):
        raise MissingInput("no masks to export", where=where)
    for name in only:
        if name not in names:
            raise MissingInput(
                f"no masks of video {name}",
                where="--only",
                hint=suggestion(name, names) or f"there are {listing(names, 'videos')}",
            )
    return [video for video in videos if not only or video.video_id in only]


def _counts(
    videos: Sequence[ExportVideo], tables: Sequence[pa.Table], config: ExportConfig, failed: int
) -> dict[str, int]:
    counts = {
        "videos": len(videos),
        "objects": sum(len(video.objects) for video in videos),
        "frames": sum(len(video.frame_names) for video in videos),
        "masks": sum(table.num_rows for table in tables),
        "failed videos": failed,
    }
    lost = mask_format(config.format).lost
    if lost:
        counts[lost] = sum(_total(table) for table in tables)
    return counts


def _total(table: pa.Table) -> int:
    return sum(table.column("lost").to_pylist())

"""The stage extract-frames: each video is a unit; a corrupt one does not stop the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from schemas.directories import remove_tree
from schemas.errors import CorruptInput, TglError
from schemas.layouts import FRAMES_FOLDER, FRAMES_TABLE
from schemas.parquet import concatenate, rows_of
from schemas.tables import FRAMES
from stages.core.engine.failures import input_failure, nothing_done
from stages.core.engine.pool import map_jobs
from stages.core.engine.progress import Progress, Task
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workspace import Workspace
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.extract_frames.decoding import decode_video
from stages.extract_frames.estimate import FrameEstimate, frames_of_header
from stages.extract_frames.log import Stamp
from stages.extract_frames.pictures import Picture, WrittenPictures, picture_name

_ERRORS = "decoding_errors"
"""A column of a damaged video's unit, not of the frames table."""


@dataclass(frozen=True)
class _Job:
    """One video to be worked, maybe in another process or on another machine."""

    video_id: str
    video: Path
    root: Path
    config: ExtractConfig
    threads: int

    @property
    def folder(self) -> Path:
        """Where the video's pictures go."""
        return self.root / FRAMES_FOLDER / self.video_id


def run(
    config: ExtractConfig,
    inputs: ExtractInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Extract every video; see :func:`stages.core.engine.execute.execute`."""
    videos = inputs.by_id()
    keys = inputs.digests()
    tables = {name: out.finished(name, keys[name]) for name in videos}
    waiting = [name for name, rows in tables.items() if rows is None]
    kept = len(videos) - len(waiting)
    jobs = [
        _Job(name, videos[name], out.path, config, threads)
        for name, threads in _plan(waiting, videos, runtime.workers)
    ]
    failures: list[TglError] = []
    lines: list[str] = []
    for job, rows in _work(jobs, runtime, progress):
        if isinstance(rows, TglError):
            failures.append(input_failure(rows))
            remove_tree(job.folder)
            tables[job.video_id] = out.keep_previous(job.video_id)
            earlier = tables[job.video_id] is not None
            lines.append(
                f"{rows}; its frames of the earlier run are kept" if earlier else str(rows)
            )
        else:
            files = [out.path / path for path in rows.column("path").to_pylist()]
            out.finish(job.video_id, keys[job.video_id], rows, files)
            tables[job.video_id] = rows
    if len(failures) == len(videos):
        raise nothing_done(failures, "video")
    found = [rows for rows in tables.values() if rows is not None]
    table = concatenate((_without_errors(rows) for rows in found), FRAMES)
    out.write_table(FRAMES_TABLE, table, FRAMES)
    damaged = [(name, errors) for name, rows in tables.items() if (errors := _errors_of(rows))]
    _warn_of_damage(damaged, progress)
    counts = {
        "videos": len(videos) - len(failures),
        "frames": table.num_rows,
        "bytes": sum(table.column("bytes").to_pylist()),
        "failed videos": len(failures),
        "damaged videos": len(damaged),
        "decoding errors": sum(errors for _, errors in damaged),
    }
    return Result(counts, tuple(lines), {"videos kept from before": kept})


STAGE = Stage("extract-frames", 1, ExtractConfig, ExtractInputs, run)


def _plan(waiting: list[str], videos: dict[str, Path], workers: int) -> Iterator[tuple[str, int]]:
    """Videos in the order of work, each with its threads; 0 lets ffmpeg take every core.

    Several side by side are faster with one thread each. The largest come first, so that no worker
    is left with a long one, and those at the end that are too few for all workers take every core.
    """
    if workers == 1:
        yield from ((name, 0) for name in waiting)
        return
    ordered = sorted(waiting, key=lambda name: videos[name].stat().st_size, reverse=True)
    side_by_side = len(ordered) - len(ordered) % workers
    for position, name in enumerate(ordered):
        yield name, 1 if position < side_by_side else 0


def _work(
    jobs: list[_Job], runtime: Runtime, progress: Progress
) -> Iterator[tuple[_Job, pa.Table | TglError]]:
    """Extract all `jobs`; progress is counted in frames."""
    if not jobs:
        return
    estimate = FrameEstimate([job.video for job in jobs])
    with progress.task("extract-frames", None, "frame") as task:
        # A frame that another machine writes cannot be seen from here: count video by video.
        remote = runtime.scheduler is not None
        extract = _extract if remote else partial(_extract, task=task, estimate=estimate)
        for job, rows in map_jobs(extract, jobs, runtime=runtime, kind="thread"):
            if not isinstance(rows, TglError):
                task.expect(estimate.learn(job.video, rows.num_rows))
                task.advance(rows.num_rows if remote else 0)
            yield job, rows


def _warn_of_damage(damaged: list[tuple[str, int]], progress: Progress) -> None:
    """One line for all videos that were kept with errors."""
    if damaged:
        name, errors = damaged[0]
        more = f", and {len(damaged) - 1} more" if len(damaged) > 1 else ""
        progress.warn(f"--keep-damaged: frames may be damaged in {name} ({errors:,} errors){more}")


def _with_errors(rows: pa.Table, errors: int) -> pa.Table:
    """Note in a video's rows how many decoding errors it had, for this run and the next ones."""
    return rows.append_column(_ERRORS, pa.array([errors] * rows.num_rows, pa.int64()))


def _without_errors(rows: pa.Table) -> pa.Table:
    return rows.drop_columns(_ERRORS) if _ERRORS in rows.column_names else rows


def _errors_of(rows: pa.Table | None) -> int:
    if rows is None or _ERRORS not in rows.column_names:
        return 0
    return int(rows.column(_ERRORS)[0].as_py())


def _extract(
    job: _Job, task: Task | None = None, estimate: FrameEstimate | None = None
) -> pa.Table:
    """Decode one video into its folder and return its rows of the frames table.

    Args:
        task, estimate: where frames are counted as they come, if in this process.
    """
    remove_tree(job.folder)
    job.folder.mkdir(parents=True)
    written = WrittenPictures(job.folder, job.config)

    def on_frame() -> None:
        written.take_whole()
        if task is not None:
            task.advance()

    def on_header(seconds: float, rate: float) -> None:
        if task is not None and estimate is not None:
            frames = frames_of_header(seconds, rate, job.config)
            task.expect(estimate.learn(job.video, frames))

    log = decode_video(
        job.video,
        job.folder,
        job.config,
        threads=job.threads,
        on_frame=on_frame,
        on_header=on_header,
    )
    pictures = written.take_all()
    if not pictures:
        raise CorruptInput("holds no frame in the chosen range", where=job.video)
    if len(pictures) != len(log.stamps):
        raise CorruptInput(
            f"gave {len(pictures)} pictures for {len(log.stamps)} time stamps", where=job.video
        )
    rows = rows_of(_rows(job, _renumber(pictures, job), log.stamps), FRAMES)
    return _with_errors(rows, len(log.damage)) if log.damage else rows


def _renumber(pictures: list[Picture], job: _Job) -> list[Picture]:
    """Give the pictures the numbers of the video's frames where the names ask for it."""
    step = job.config.number_step
    if step == 1:
        return pictures
    renamed = [
        replace(picture, name=picture_name(number * step, job.config))
        for number, picture in enumerate(pictures)
    ]
    # From the last on, since numbers only grow: no picture takes the place of a waiting one.
    for picture, target in reversed(list(zip(pictures, renamed, strict=True))):
        (job.folder / picture.name).rename(job.folder / target.name)
    return renamed


def _rows(job: _Job, pictures: list[Picture], stamps: list[Stamp]) -> Iterator[dict[str, object]]:
    folder = job.folder.relative_to(job.root).as_posix()
    for frame, (picture, stamp) in enumerate(zip(pictures, stamps, strict=True)):
        yield {
            "video_id": job.video_id,
            "frame": frame,
            "name": picture.name.removesuffix(f".{job.config.format}"),
            "path": f"{folder}/{picture.name}",
            "pts_seconds": stamp.seconds,
            "width": stamp.width,
            "height": stamp.height,
            "bytes": picture.bytes,
            "sha256": picture.sha256,
        }

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
from schemas.wording import amount
from stages.core.engine.failures import input_failure, nothing_done
from stages.core.engine.progress import Progress, Task, counted
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workers.pool import map_jobs
from stages.core.engine.workspace import Workspace
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.extract_frames.decoding import decode_video
from stages.extract_frames.estimate import FrameEstimate, frames_of_header
from stages.extract_frames.log import Stamp, damage_warning
from stages.extract_frames.written_frames import FrameFile, WrittenFrames, frame_name

_ERRORS = "decoding_errors"
"""A column of a damaged video's unit, not of the frames table."""


@dataclass(frozen=True)
class _Job:
    """A video to extract, perhaps in another process or on another machine."""

    video_id: str
    video: Path
    root: Path
    config: ExtractConfig
    threads: int

    @property
    def folder(self) -> Path:
        """The folder of the video's frames."""
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
    jobs = [
        _Job(name, videos[name], out.path, config, threads)
        for name, threads in _plan(waiting, videos, runtime.workers)
    ]
    failures: dict[str, TglError] = {}
    lines: dict[str, str] = {}
    for job, rows in _work(jobs, runtime, progress):
        if isinstance(rows, TglError):
            failures[job.video_id] = input_failure(rows)
            tables[job.video_id], lines[job.video_id] = _earlier_frames(job, rows, out)
        else:
            files = [out.path / path for path in rows.column("path").to_pylist()]
            out.finish(job.video_id, keys[job.video_id], rows, files)
            tables[job.video_id] = rows
    if len(failures) == len(videos):
        raise nothing_done(failures, "video")
    extracted = {name: rows for name, rows in tables.items() if rows is not None}
    table = concatenate(map(_without_errors, extracted.values()), FRAMES)
    out.write_table(FRAMES_TABLE, table, FRAMES)
    damaged = [(name, errors) for name, rows in extracted.items() if (errors := _errors_of(rows))]
    _warn_of_damage(damaged, progress)
    counts = _counts(table, len(videos), len(failures), damaged)
    return Result(counts, lines, {"videos kept from before": len(videos) - len(waiting)})


def _counts(
    table: pa.Table, videos: int, failed: int, damaged: list[tuple[str, int]]
) -> dict[str, int]:
    return {
        "videos": videos - failed,
        "frames": table.num_rows,
        "bytes": sum(table.column("bytes").to_pylist()),
        "failed videos": failed,
        "damaged videos": len(damaged),
        "decoding errors": sum(errors for _, errors in damaged),
    }


def _earlier_frames(job: _Job, error: TglError, out: Workspace) -> tuple[pa.Table | None, str]:
    """The rows of a failed video from an earlier run, if any, and the line that reports it."""
    remove_tree(job.folder)
    rows = out.keep_previous(job.video_id)
    kept = "" if rows is None else "; its frames of the earlier run are kept"
    return rows, f"{error}{kept}"


STAGE = Stage("extract-frames", 1, ExtractConfig, ExtractInputs, run)


def _plan(waiting: list[str], videos: dict[str, Path], workers: int) -> Iterator[tuple[str, int]]:
    """Order the videos, and give each a number of threads; 0 lets ffmpeg use every core.

    Videos in parallel are faster with one thread each. The largest come first, so that no worker is
    left with a long one; those at the end that are too few for all workers use every core.
    """
    if workers == 1:
        yield from ((name, 0) for name in waiting)
        return
    ordered = sorted(waiting, key=lambda name: videos[name].stat().st_size, reverse=True)
    in_parallel = len(ordered) - len(ordered) % workers
    for position, name in enumerate(ordered):
        yield name, 1 if position < in_parallel else 0


def _work(
    jobs: list[_Job], runtime: Runtime, progress: Progress
) -> Iterator[tuple[_Job, pa.Table | TglError]]:
    """Extract all `jobs`, with progress in frames."""
    if not jobs:
        return
    estimate = FrameEstimate([job.video for job in jobs])
    with progress.task("extract-frames", None, "frame") as task:
        # Frames that another machine writes are counted when their video is done.
        remote = runtime.scheduler is not None
        extract = _extract if remote else partial(_extract, task=task, estimate=estimate)
        results = map_jobs(extract, jobs, runtime=runtime, kind="thread")
        for job, rows in counted(results, len(jobs), task):
            if not isinstance(rows, TglError):
                task.expect(estimate.learn(job.video, rows.num_rows))
                task.advance(rows.num_rows if remote else 0)
            yield job, rows


def _warn_of_damage(damaged: list[tuple[str, int]], progress: Progress) -> None:
    """Print one line for all videos that were kept with errors."""
    if damaged:
        name, errors = damaged[0]
        more = f", and {amount(len(damaged) - 1, 'videos')} more" if len(damaged) > 1 else ""
        progress.warn(f"{damage_warning(name, errors)}{more}")


def _with_errors(rows: pa.Table, errors: int) -> pa.Table:
    """Store a video's number of decoding errors in its rows, for this run and later ones."""
    return rows.append_column(_ERRORS, pa.array([errors] * rows.num_rows, pa.int64()))


def _without_errors(rows: pa.Table) -> pa.Table:
    return rows.drop_columns(_ERRORS) if _ERRORS in rows.column_names else rows


def _errors_of(rows: pa.Table) -> int:
    if _ERRORS not in rows.column_names:
        return 0
    return int(rows.column(_ERRORS)[0].as_py())


def _extract(
    job: _Job, task: Task | None = None, estimate: FrameEstimate | None = None
) -> pa.Table:
    """Decode one video into its folder and return its rows of the frames table.

    Args:
        task, estimate: count frames as they come, in this process.
    """
    remove_tree(job.folder)
    job.folder.mkdir(parents=True)
    written = WrittenFrames(job.folder, job.config)

    def on_frame() -> None:
        written.read_whole()
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
    frames = written.read_all()
    if not frames:
        raise CorruptInput("has no frame in the chosen range", where=job.video)
    if len(frames) != len(log.stamps):
        raise CorruptInput(
            f"gave {amount(len(frames), 'frames')} for {len(log.stamps)} time stamps",
            where=job.video,
        )
    rows = rows_of(_rows(job, _renumber(frames, job), log.stamps), FRAMES)
    return _with_errors(rows, len(log.damage)) if log.damage else rows


def _renumber(frames: list[FrameFile], job: _Job) -> list[FrameFile]:
    """Rename the files by the numbers of the video's frames, if the settings say so."""
    step = job.config.number_step
    if step == 1:
        return frames
    renamed = [
        replace(frame, name=frame_name(number * step, job.config))
        for number, frame in enumerate(frames)
    ]
    # Numbers only grow: from the last to the first, no file replaces one that is still to rename.
    for frame, target in reversed(list(zip(frames, renamed, strict=True))):
        (job.folder / frame.name).rename(job.folder / target.name)
    return renamed


def _rows(job: _Job, frames: list[FrameFile], stamps: list[Stamp]) -> Iterator[dict[str, object]]:
    folder = job.folder.relative_to(job.root).as_posix()
    for number, (frame, stamp) in enumerate(zip(frames, stamps, strict=True)):
        yield {
            "video_id": job.video_id,
            "frame": number,
            "name": frame.name.removesuffix(f".{job.config.format}"),
            "path": f"{folder}/{frame.name}",
            "pts_seconds": stamp.seconds,
            "width": stamp.width,
            "height": stamp.height,
            "bytes": frame.bytes,
            "sha256": frame.sha256,
        }

"""The stage extract-frames: each video is a unit; a corrupt one does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import pyarrow as pa

from schemas.directories import remove_tree, sha256_file
from schemas.errors import CorruptInput, OutputBlocked, TglError
from schemas.layouts import FRAMES_FOLDER, FRAMES_TABLE
from schemas.parquet import concatenate, rows_of
from schemas.tables import FRAMES
from stages.engine.pool import map_jobs
from stages.engine.progress import Progress
from stages.engine.runtime import Runtime
from stages.engine.stage import Result, Stage
from stages.engine.workspace import Workspace
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.extract_frames.decoding import Stamp, decode_video
from stages.extract_frames.probing import estimate_frames


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
    """Extract every video; see :func:`stages.engine.execute.execute`."""
    videos = inputs.by_id()
    keys = inputs.digests()
    tables = {name: out.finished(name, keys[name]) for name in videos}
    waiting = [name for name, rows in tables.items() if rows is None]
    kept = len(videos) - len(waiting)
    # One video alone may use every core; several side by side are faster with one thread each.
    threads = 1 if len(waiting) >= runtime.workers > 1 else 0
    jobs = [_Job(name, videos[name], out.path, config, threads) for name in waiting]
    failures: list[TglError] = []
    for job, rows in _work(jobs, runtime, progress):
        if isinstance(rows, OutputBlocked):
            raise rows  # a full disk is no fault of the video
        if isinstance(rows, TglError):
            remove_tree(job.folder)
            failures.append(rows)
        else:
            files = [out.path / path for path in rows.column("path").to_pylist()]
            out.finish(job.video_id, keys[job.video_id], rows, files)
            tables[job.video_id] = rows
    if len(failures) == len(videos):
        raise _nothing_left(failures)
    table = concatenate((rows for rows in tables.values() if rows is not None), FRAMES)
    out.write_table(FRAMES_TABLE, table, FRAMES)
    counts = {
        "videos": len(videos) - len(failures),
        "frames": table.num_rows,
        "bytes": sum(table.column("bytes").to_pylist()),
        "failed videos": len(failures),
        "videos kept from before": kept,
    }
    return Result(counts, tuple(str(failure) for failure in failures))


STAGE = Stage("extract-frames", 1, ExtractConfig, ExtractInputs, run)


def _work(
    jobs: list[_Job], runtime: Runtime, progress: Progress
) -> Iterator[tuple[_Job, pa.Table | TglError]]:
    """Extract all `jobs`; progress is counted in frames."""
    if not jobs:
        return
    total = estimate_frames([job.video for job in jobs], jobs[0].config, runtime.workers)
    with progress.task("extract-frames", total, "frame") as task:
        if runtime.scheduler is None:
            extract = partial(_extract, on_frame=task.advance)
            yield from map_jobs(extract, jobs, runtime=runtime, kind="thread")
            return
        # A frame that another machine writes cannot be seen from here: count video by video.
        for job, rows in map_jobs(_extract, jobs, runtime=runtime):
            task.advance(0 if isinstance(rows, TglError) else rows.num_rows)
            yield job, rows


def _nothing_left(failures: list[TglError]) -> TglError:
    first = failures[0]
    if len(failures) == 1:
        return first
    return CorruptInput(
        f"{first.message} (the first of {len(failures)} videos, none could be extracted)",
        where=first.where,
        hint=first.hint,
    )


def _extract(job: _Job, on_frame: Callable[[], None] | None = None) -> pa.Table:
    """Decode one video into its folder and return its rows of the frames table."""
    remove_tree(job.folder)
    job.folder.mkdir(parents=True)
    stamps = decode_video(job.video, job.folder, job.config, threads=job.threads, on_frame=on_frame)
    pictures = sorted(job.folder.iterdir(), key=lambda path: int(path.stem))
    if not pictures:
        raise CorruptInput("holds no frame in the chosen range", where=job.video)
    if len(pictures) != len(stamps):
        raise CorruptInput(
            f"gave {len(pictures)} pictures for {len(stamps)} time stamps", where=job.video
        )
    return rows_of(_rows(job, _renumber(pictures, job.config), stamps), FRAMES)


def _renumber(pictures: list[Path], config: ExtractConfig) -> list[Path]:
    """Give the pictures the numbers of the video's frames where the names ask for it."""
    step = config.number_step
    if step == 1:
        return pictures
    renamed = [
        path.with_name(f"{number * step:0{config.digits}d}{path.suffix}")
        for number, path in enumerate(pictures)
    ]
    # From the last on, since numbers only grow: no picture takes the place of a waiting one.
    for path, target in reversed(list(zip(pictures, renamed, strict=True))):
        path.rename(target)
    return renamed


def _rows(job: _Job, pictures: list[Path], stamps: list[Stamp]) -> Iterator[dict[str, object]]:
    for frame, (path, stamp) in enumerate(zip(pictures, stamps, strict=True)):
        yield {
            "video_id": job.video_id,
            "frame": frame,
            "name": path.stem,
            "path": path.relative_to(job.root).as_posix(),
            "pts_seconds": _seconds(stamp.pts),
            "width": stamp.width,
            "height": stamp.height,
            "bytes": path.stat().st_size,
            "sha256": sha256_file(path),
        }


def _seconds(pts: Fraction | None) -> float | None:
    return None if pts is None else float(pts)

"""The stage render: each video is a unit; one that fails does not stop the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from schemas.directories import remove_tree
from schemas.errors import TglError
from schemas.layouts import natural_order_warning, orders_differ
from schemas.receipts import canonical_json
from schemas.wording import amount
from stages.core.engine.failures import input_failure, nothing_done
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workers.pool import map_jobs
from stages.core.engine.workspace import Workspace
from stages.core.index.frame_files import files_digest, require_as_extracted
from stages.core.media.timed_video import end_time
from stages.tools.render.config import RenderConfig, RenderInputs
from stages.tools.render.overlay import Overlay
from stages.tools.render.source import RenderPlan, RenderVideo, plan_render
from stages.tools.render.text import Face
from stages.tools.render.writing import write_gif, write_mp4, write_png

# Data sets of images have no frame rate; that of MeViS is about this.
_UNKNOWN_FPS = 6.0
_SUFFIXES = {"mp4": ".mp4", "gif": ".gif", "sheet": ".png"}
_ANY_SIZE = 12


@dataclass(frozen=True)
class _Job:
    """One video to draw, possibly in another process."""

    video: RenderVideo
    root: Path
    config: RenderConfig
    font: Path | None

    @property
    def folder(self) -> Path:
        """Folder of the video's overlays."""
        return self.root / self.video.video_id


def run(
    config: RenderConfig,
    inputs: RenderInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Draw every video; see :func:`stages.core.engine.execute.execute`."""
    plan = plan_render(config, inputs)
    for video in plan.videos:
        names = [path.name for path in video.frames]
        if not inputs.has_index and orders_differ(names):
            progress.warn(f"{video.video_id}: {natural_order_warning(names)}")
    _warn_of_missing_characters(plan.videos, inputs.font, progress)
    digests = inputs.digests()
    keys = {video.video_id: _unit_key(video, digests) for video in plan.videos}
    tables = {name: out.finished(name, key) for name, key in keys.items()}
    jobs = [
        _Job(video, out.path, config, inputs.font)
        for video in plan.videos
        if tables[video.video_id] is None
    ]
    failures: list[TglError] = []
    for job, drawn in _work(jobs, runtime, progress):
        if isinstance(drawn, TglError):
            if drawn.where is None:
                drawn.relocate(f"video {job.video.video_id}")
            failures.append(input_failure(drawn))
            remove_tree(job.folder)
        else:
            files = [out.path / path for path in drawn.column("path").to_pylist()]
            out.finish(job.video.video_id, keys[job.video.video_id], drawn, files)
            tables[job.video.video_id] = drawn
    if failures and len(failures) == len(plan.videos):
        raise nothing_done(failures, "video")
    done = [table for table in tables.values() if table is not None]
    return Result(_counts(plan, done, len(failures)), tuple(map(str, failures)))


STAGE = Stage("render", 3, RenderConfig, RenderInputs, run)


def _counts(plan: RenderPlan, tables: Sequence[pa.Table], failed: int) -> dict[str, int]:
    rows = [row for table in tables for row in table.to_pylist()]
    return {
        "videos": len(plan.videos) - failed,
        "overlays": len(rows),
        "expressions": sum(row["expressions"] for row in rows),
        "frames drawn": sum(row["frames"] for row in rows),
        "failed videos": failed,
        "expressions without prediction": plan.without_prediction,
        "predictions without frames or sentence": plan.unknown,
    }


def _work(
    jobs: list[_Job], runtime: Runtime, progress: Progress
) -> Iterator[tuple[_Job, pa.Table | TglError]]:
    """Draw all `jobs`; progress is counted in frames."""
    total = sum(_frame_count(overlay) for job in jobs for overlay in _overlays(job))
    with progress.task("render", total, "frame") as task:
        if runtime.scheduler is None and (runtime.workers == 1 or len(jobs) == 1):
            draw = partial(_draw, on_frame=task.advance)
            yield from map_jobs(draw, jobs, runtime=runtime, kind="thread")
            return
        # Other processes do not report single frames: count video by video.
        for job, drawn in map_jobs(_draw, jobs, runtime=runtime):
            task.advance(sum(map(_frame_count, _overlays(job))))
            yield job, drawn


def _draw(job: _Job, on_frame: Callable[[], None] = lambda: None) -> pa.Table:
    """Draw a video's overlays; a row for each."""
    require_as_extracted(job.video.frames)
    remove_tree(job.folder)
    job.folder.mkdir()
    rows = []
    for overlay in _overlays(job):
        path = job.folder / f"{overlay.file_stem}{_SUFFIXES[job.config.format]}"
        _write(overlay, path, on_frame)
        rows.append(
            {
                "path": path.relative_to(job.root).as_posix(),
                "expressions": len(overlay.expressions),
                "frames": _frame_count(overlay),
            }
        )
    return pa.Table.from_pylist(rows)


def _overlays(job: _Job) -> Iterator[Overlay]:
    video, config = job.video, job.config
    if config.compare == "truth" or (config.compare == "auto" and video.truth is not None):
        for expression in video.expressions:
            yield Overlay(video, (expression,), True, config, job.font)
        return
    for start in range(0, len(video.expressions), config.sentences):
        expressions = video.expressions[start : start + config.sentences]
        yield Overlay(video, expressions, False, config, job.font)


def _frame_count(overlay: Overlay) -> int:
    """Number of frames drawn in an overlay."""
    frames = len(overlay.video.frames)
    return min(overlay.config.cells, frames) if overlay.config.format == "sheet" else frames


def _write(overlay: Overlay, path: Path, on_frame: Callable[[], None]) -> None:
    config, video = overlay.config, overlay.video
    if config.format == "sheet":
        write_png(path, overlay.sheet(on_frame))
        return
    size, frames = overlay.frames(on_frame)
    fps = config.fps or video.fps or _UNKNOWN_FPS
    times = None
    if video.times is not None and not config.fps:
        times = (*video.times, end_time(video.times))
    if config.format == "gif":
        write_gif(path, frames, fps, times)
    else:
        write_mp4(path, frames, size, fps, config.quality, times)


def _unit_key(video: RenderVideo, digests: dict[str, str]) -> str:
    """Digest of everything that a video's overlays depend on besides the settings."""
    digest = hashlib.sha256()
    others = {name: value for name, value in digests.items() if name != "preds"}
    if video.truth is None:  # else the index has masks, which are not read here
        others["frames"] = files_digest(video.frames)
    size = [video.height, video.width, video.fps]
    sentences = [
        [one.expression_id, one.sentence, one.prompted, one.found] for one in video.expressions
    ]
    digest.update(canonical_json([others, video.video_id, size, sentences]).encode())
    if video.times is not None:
        digest.update(repr(video.times).encode())
    for expression in video.expressions:
        for known in (expression.annotated, expression.routed, expression.relevance):
            digest.update(b"unknown" if known is None else known.tobytes())
        for frame in range(len(video.frames)):
            path = video.mask_path(expression, frame)
            digest.update(path.read_bytes() if path.is_file() else b"absent")
    return digest.hexdigest()


def _warn_of_missing_characters(
    videos: tuple[RenderVideo, ...], font: Path | None, progress: Progress
) -> None:
    face = Face(_ANY_SIZE, font)
    sentences = [expression.sentence for video in videos for expression in video.expressions]
    missing = sum(map(face.missing, sentences))
    if missing:
        named = font or "the default font"
        progress.warn(
            f"{named} lacks {amount(missing, 'characters of the sentences')}, drawn as ?; "
            "name a font that has them with --font"
        )

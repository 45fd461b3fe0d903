"""The stage render: each video is a unit; one that cannot be drawn does not stop the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from schemas.directories import remove_tree
from schemas.errors import TglError
from schemas.layouts import natural_order_warning, orders_differ
from schemas.receipts import canonical_json
from stages.core.engine.failures import input_failure, nothing_done
from stages.core.engine.pool import map_jobs
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workspace import Workspace
from stages.core.index.frame_files import require_as_extracted
from stages.core.media.timed_video import end_time
from stages.tools.render.config import RenderConfig, RenderInputs
from stages.tools.render.drawing import Drawing
from stages.tools.render.source import Clip, find_clips
from stages.tools.render.text import Face
from stages.tools.render.writing import write_gif, write_mp4, write_png

# Data sets that come as pictures have no rate; MeViS was cut to about this one.
_UNKNOWN_FPS = 6.0
_SUFFIXES = {"mp4": ".mp4", "gif": ".gif", "sheet": ".png"}
_ANY_SIZE = 12


@dataclass(frozen=True)
class _Job:
    """One video to be drawn, maybe in another process."""

    clip: Clip
    root: Path
    config: RenderConfig
    font: Path | None

    @property
    def folder(self) -> Path:
        """Where the video's pictures go."""
        return self.root / self.clip.video_id


def run(
    config: RenderConfig,
    inputs: RenderInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Draw every video; see :func:`stages.core.engine.execute.execute`."""
    found = find_clips(config, inputs)
    for clip in found.clips:
        names = [path.name for path in clip.frames]
        if not inputs.has_index and orders_differ(names):
            progress.warn(f"{clip.video_id}: {natural_order_warning(names)}")
    _warn_of_characters(found.clips, inputs.font, progress)
    digests = inputs.digests()
    keys = {clip.video_id: _unit_key(clip, digests) for clip in found.clips}
    tables = {name: out.finished(name, key) for name, key in keys.items()}
    jobs = [
        _Job(clip, out.path, config, inputs.font)
        for clip in found.clips
        if tables[clip.video_id] is None
    ]
    failures: list[TglError] = []
    for job, drawn in _work(jobs, runtime, progress):
        if isinstance(drawn, TglError):
            failures.append(input_failure(drawn))
            remove_tree(job.folder)
        else:
            files = [out.path / path for path in drawn.column("path").to_pylist()]
            out.finish(job.clip.video_id, keys[job.clip.video_id], drawn, files)
            tables[job.clip.video_id] = drawn
    if failures and len(failures) == len(found.clips):
        raise nothing_done(failures, "video")
    rows = [row for table in tables.values() if table is not None for row in table.to_pylist()]
    counts = {
        "videos": len(found.clips) - len(failures),
        "pictures": len(rows),
        "expressions": sum(row["expressions"] for row in rows),
        "frames drawn": sum(row["frames"] for row in rows),
        "failed videos": len(failures),
        "expressions without prediction": found.without_prediction,
        "predictions without frames or sentence": found.unknown,
    }
    return Result(counts, tuple(map(str, failures)))


STAGE = Stage("render", 2, RenderConfig, RenderInputs, run)


def _work(
    jobs: list[_Job], runtime: Runtime, progress: Progress
) -> Iterator[tuple[_Job, pa.Table | TglError]]:
    """Draw all `jobs`; progress is counted in frames."""
    total = sum(_frames(drawing) for job in jobs for drawing in _drawings(job))
    with progress.task("render", total, "frame") as task:
        if runtime.scheduler is None and (runtime.workers == 1 or len(jobs) == 1):
            draw = partial(_draw, on_frame=task.advance)
            yield from map_jobs(draw, jobs, runtime=runtime, kind="thread")
            return
        # Frames that another process draws cannot be seen from here: count video by video.
        for job, drawn in map_jobs(_draw, jobs, runtime=runtime):
            task.advance(sum(map(_frames, _drawings(job))))
            yield job, drawn


def _draw(job: _Job, on_frame: Callable[[], None] = lambda: None) -> pa.Table:
    """Draw a video's pictures; one row for each."""
    require_as_extracted(job.clip.frames)
    remove_tree(job.folder)
    job.folder.mkdir()
    rows = []
    for drawing in _drawings(job):
        path = job.folder / f"{drawing.file_stem}{_SUFFIXES[job.config.format]}"
        _write(drawing, path, on_frame)
        rows.append(
            {
                "path": path.relative_to(job.root).as_posix(),
                "expressions": len(drawing.shots),
                "frames": _frames(drawing),
            }
        )
    return pa.Table.from_pylist(rows)


def _drawings(job: _Job) -> Iterator[Drawing]:
    clip, config = job.clip, job.config
    if config.compare == "truth" or (config.compare == "auto" and clip.truth is not None):
        for shot in clip.shots:
            yield Drawing(clip, (shot,), True, config, job.font)
        return
    for start in range(0, len(clip.shots), config.sentences):
        shots = clip.shots[start : start + config.sentences]
        yield Drawing(clip, shots, False, config, job.font)


def _frames(drawing: Drawing) -> int:
    """Number of frames in a picture."""
    frames = len(drawing.clip.frames)
    return min(drawing.config.cells, frames) if drawing.config.format == "sheet" else frames


def _write(drawing: Drawing, path: Path, on_frame: Callable[[], None]) -> None:
    """Write one picture."""
    config, clip = drawing.config, drawing.clip
    if config.format == "sheet":
        write_png(path, drawing.sheet(on_frame))
        return
    size, frames = drawing.frames(on_frame)
    fps = config.fps or clip.fps or _UNKNOWN_FPS
    times = None
    if clip.times is not None and not config.fps:
        times = (*clip.times, end_time(clip.times))
    if config.format == "gif":
        write_gif(path, frames, fps, times)
    else:
        write_mp4(path, frames, size, fps, config.quality, times)


def _unit_key(clip: Clip, digests: dict[str, str]) -> str:
    """Digest of all that a video's pictures depend on beside the settings."""
    digest = hashlib.sha256()
    others = {name: value for name, value in digests.items() if name != "preds"}
    digest.update(canonical_json([others, [shot.expression_id for shot in clip.shots]]).encode())
    if clip.times is not None:
        digest.update(repr(clip.times).encode())
    for shot in clip.shots:
        digest.update(b"unknown" if shot.routed is None else shot.routed.tobytes())
        for frame in range(len(clip.frames)):
            path = clip.mask_path(shot, frame)
            digest.update(path.read_bytes() if path.is_file() else b"absent")
    return digest.hexdigest()


def _warn_of_characters(clips: tuple[Clip, ...], font: Path | None, progress: Progress) -> None:
    face = Face(_ANY_SIZE, font)
    lost = sum(face.missing(shot.sentence) for clip in clips for shot in clip.shots)
    if lost:
        named = font or "the built-in font"
        progress.warn(
            f"{named} lacks {lost} characters of the sentences, drawn as ?; "
            "name a font that has them with --font"
        )

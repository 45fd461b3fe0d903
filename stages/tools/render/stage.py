"""The stage render: each video is a unit; one that fails does not stop the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import pyarrow as pa

from schemas.directories import remove_tree
from schemas.errors import ConfigError, TglError
from schemas.layouts import order_warnings
from schemas.receipts import canonical_json
from schemas.wording import amount
from stages.core.engine.failures import input_failure, nothing_done
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workers.pool import map_jobs
from stages.core.engine.workspace import Workspace
from stages.core.index.frame_files import files_digest, require_as_extracted
from stages.core.media.ffmpeg import require_encoders
from stages.tools.render.config import RenderConfig, RenderInputs
from stages.tools.render.drawing import CUTOUT
from stages.tools.render.overlay import Overlay
from stages.tools.render.source import RenderPlan, RenderVideo, plan_render
from stages.tools.render.text import missing_characters
from stages.tools.render.writing.overlays import ENCODERS, SUFFIXES, frame_count, write_overlay
from stages.tools.render.writing.sound import source_digest

_MOST_NOTES = 3


@dataclass(frozen=True)
class _Job:
    """One video to draw, possibly in another process."""

    video: RenderVideo
    root: Path
    config: RenderConfig
    font: Path | None
    source: Path | None

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
    _check_source(config, inputs.source)
    if config.file_format in ENCODERS:
        require_encoders([ENCODERS[config.file_format]])
    plan = plan_render(config, inputs)
    for video in plan.videos:
        names = () if inputs.has_index else [path.name for path in video.frames]
        for warning in order_warnings(names):
            progress.warn(f"{video.video_id}: {warning}")
    if config.has_text:
        sentences = [one.sentence for video in plan.videos for one in video.expressions]
        if (line := missing_characters(sentences, inputs.font)) is not None:
            progress.warn(line)
    digests = inputs.digests()
    keys = {video.video_id: _unit_key(video, digests, inputs.source) for video in plan.videos}
    tables = {name: out.finished(name, key) for name, key in keys.items()}
    jobs = [
        _Job(video, out.path, config, inputs.font, inputs.source)
        for video in plan.videos
        if tables[video.video_id] is None
    ]
    failures: dict[str, TglError] = {}
    for job, drawn in _work(jobs, runtime, progress):
        if isinstance(drawn, TglError):
            if drawn.where is None:
                drawn.relocate(f"video {job.video.video_id}")
            failures[job.video.video_id] = input_failure(drawn)
            remove_tree(job.folder)
        else:
            files = [file for file in sorted(job.folder.rglob("*")) if file.is_file()]
            out.finish(job.video.video_id, keys[job.video.video_id], drawn, files)
            tables[job.video.video_id] = drawn
    if failures and len(failures) == len(plan.videos):
        raise nothing_done(failures, "video")
    done = [table for table in tables.values() if table is not None]
    _tell(done, progress)
    lines = {name: str(error) for name, error in failures.items()}
    return Result(_counts(plan, done, len(failures)), lines)


STAGE = Stage("render", 4, RenderConfig, RenderInputs, run)


def _counts(plan: RenderPlan, tables: Sequence[pa.Table], failed: int) -> dict[str, int]:
    rows = [row for table in tables for row in table.to_pylist()]
    return {
        "videos": len(plan.videos) - failed,
        "overlays": len(rows),
        "expressions": sum(row["expressions"] for row in rows),
        "frames drawn": sum(row["frames"] for row in rows),
        "overlays without sound": sum(row["silent"] for row in rows),
        "GIFs reduced": sum(row["reduced"] for row in rows),
        "failed videos": failed,
        "expressions without prediction": plan.without_prediction,
        "predictions without frames or sentence": plan.unknown,
    }


def _check_source(config: RenderConfig, source: Path | None) -> None:
    """Raise ConfigError unless both or neither of --keep-audio and --source are given."""
    if config.keep_audio and source is None:
        raise ConfigError(
            "needs the video that the frames were extracted from",
            where="--keep-audio",
            hint="name it, or the folder of it, with --source",
        )
    if source is not None and not config.keep_audio:
        raise ConfigError("has no effect without --keep-audio", where="--source")


def _tell(tables: Sequence[pa.Table], progress: Progress) -> None:
    """Show what could not be done as asked for, of the first overlays where it is many."""
    noted = []
    for table in tables:
        for row in table.to_pylist():
            path = PurePosixPath(row["path"])
            if row["note"]:
                noted.append(f"{path if table.num_rows > 1 else path.parent}: {row['note']}")
    for line in noted[:_MOST_NOTES]:
        progress.warn(line)
    if len(noted) > _MOST_NOTES:
        progress.warn(
            f"the same or similar for {amount(len(noted) - _MOST_NOTES, 'more overlays')}"
        )


def _work(
    jobs: list[_Job], runtime: Runtime, progress: Progress
) -> Iterator[tuple[_Job, pa.Table | TglError]]:
    """Draw all `jobs`; progress is counted in frames."""
    total = sum(frame_count(overlay) for job in jobs for overlay in _overlays(job))
    with progress.task("render", total, "frame") as task:
        if runtime.scheduler is None and (runtime.workers == 1 or len(jobs) == 1):
            draw = partial(_draw, on_frame=task.advance)
            yield from map_jobs(draw, jobs, runtime=runtime, kind="thread")
            return
        # Other processes do not report single frames: count video by video.
        for job, drawn in map_jobs(_draw, jobs, runtime=runtime):
            task.advance(sum(map(frame_count, _overlays(job))))
            yield job, drawn


def _draw(job: _Job, on_frame: Callable[[], None] = lambda: None) -> pa.Table:
    """Draw a video's overlays; a row for each."""
    require_as_extracted(job.video.frames)
    remove_tree(job.folder)
    job.folder.mkdir()
    rows = []
    for overlay in _overlays(job):
        path = job.folder / f"{overlay.file_stem}{SUFFIXES[job.config.file_format]}"
        written = write_overlay(overlay, path, job.source, on_frame)
        rows.append(
            {
                "path": path.relative_to(job.root).as_posix(),
                "expressions": len(overlay.expressions),
                "frames": written.frames,
                "note": written.note,
                "silent": written.silent,
                "reduced": written.reduced,
            }
        )
    return pa.Table.from_pylist(rows)


def _overlays(job: _Job) -> Iterator[Overlay]:
    video, config = job.video, job.config
    compared = config.style != CUTOUT and video.truth is not None
    if config.compare == "truth" or (
        config.compare == "auto" and (compared or config.style == CUTOUT)
    ):
        for expression in video.expressions:
            yield Overlay(video, (expression,), compared, config, job.font)
        return
    for start in range(0, len(video.expressions), config.sentences):
        expressions = video.expressions[start : start + config.sentences]
        yield Overlay(video, expressions, False, config, job.font)


def _unit_key(video: RenderVideo, digests: dict[str, str], source: Path | None) -> str:
    """Digest of everything that a video's overlays depend on besides the settings."""
    digest = hashlib.sha256()
    others = {name: value for name, value in digests.items() if name not in ("preds", "source")}
    if source is not None:
        others["source"] = source_digest(source, video)
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

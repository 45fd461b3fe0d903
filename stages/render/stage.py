"""The stage render: each video is a unit; one that cannot be drawn does not stop the others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from schemas.errors import TglError
from schemas.receipts import canonical_json
from stages.engine.pool import map_jobs
from stages.engine.progress import Progress
from stages.engine.runtime import Runtime
from stages.engine.stage import Result, Stage
from stages.engine.workspace import Workspace
from stages.render.config import RenderConfig, RenderInputs
from stages.render.drawing import Drawing
from stages.render.source import Clip, find_clips
from stages.render.text import Face
from stages.render.writing import write_gif, write_mp4, write_png

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


def run(
    config: RenderConfig,
    inputs: RenderInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Draw every video; see :func:`stages.engine.execute.execute`."""
    found = find_clips(config, inputs)
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
    with progress.task("render", len(found.clips), "video") as task:
        task.advance(len(found.clips) - len(jobs))
        for job, drawn in map_jobs(_draw, jobs, runtime=runtime):
            if isinstance(drawn, TglError):
                failures.append(drawn)
            else:
                files = [out.path / path for path in drawn.column("path").to_pylist()]
                out.finish(job.clip.video_id, keys[job.clip.video_id], drawn, files)
                tables[job.clip.video_id] = drawn
            task.advance()
    if failures and len(failures) == len(found.clips):
        raise failures[0]
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


STAGE = Stage("render", 1, RenderConfig, RenderInputs, run)


def _draw(job: _Job) -> pa.Table:
    """Draw a video's pictures; one row for each."""
    rows = []
    for drawing in _drawings(job):
        folder = job.root / job.clip.video_id
        folder.mkdir(exist_ok=True)
        path = folder / f"{drawing.file_stem}{_SUFFIXES[job.config.format]}"
        rows.append(
            {
                "path": path.relative_to(job.root).as_posix(),
                "expressions": len(drawing.shots),
                "frames": _write(drawing, path),
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


def _write(drawing: Drawing, path: Path) -> int:
    """Write one picture; the number of frames in it."""
    config, clip = drawing.config, drawing.clip
    if config.format == "sheet":
        write_png(path, drawing.sheet())
        return min(config.cells, len(clip.frames))
    size, frames = drawing.frames()
    fps = config.fps or clip.fps or _UNKNOWN_FPS
    if config.format == "gif":
        write_gif(path, frames, fps)
    else:
        write_mp4(path, frames, size, fps, config.quality)
    return len(clip.frames)


def _unit_key(clip: Clip, digests: dict[str, str]) -> str:
    """Digest of all that a video's pictures depend on beside the settings."""
    digest = hashlib.sha256()
    others = {name: value for name, value in digests.items() if name != "preds"}
    digest.update(canonical_json([others, [shot.expression_id for shot in clip.shots]]).encode())
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

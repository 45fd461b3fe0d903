"""The stage assemble: masks of every sentence of an index from the tracks accepted for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from schemas.directories import remove_tree
from schemas.errors import TglError
from schemas.layouts import OBJECTS_FOLDER, OBJECTS_TABLE, PROPAGATION_TABLE, safe_name
from schemas.parquet import concatenate
from schemas.receipts import canonical_json
from schemas.tables import OBJECTS, PROPAGATION
from schemas.wording import amount
from stages.core.engine.digest import text_digest, weights_digest
from stages.core.engine.failures import failure_lines, input_failure, nothing_done
from stages.core.engine.progress import Progress, SilentTask
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workers.devices import map_on_devices, threads_per_device
from stages.core.engine.workers.pool import map_jobs
from stages.core.engine.workspace import Workspace
from stages.core.index.frame_files import frames_digest
from stages.core.index.index import Index
from stages.core.index.masks import MaskStore
from stages.zero_shot.assemble.accepted import Accepted, read_accepted
from stages.zero_shot.assemble.config import AssembleConfig, AssembleInputs
from stages.zero_shot.assemble.writing import Job, Sentence, WrittenVideo, write_tracked

_OBJECTS_UNIT = "objects"


def run(
    config: AssembleConfig,
    inputs: AssembleInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Write `<video>/<expression id>/<frame>.png` for every sentence and frame of an index."""
    inputs.check(config)
    index = Index.open(inputs.tracks)
    if config.propagates:
        index.require_frames()
    accepted = read_accepted(inputs.moments, index)
    jobs = _jobs(index, accepted, config, inputs, out, runtime)
    keys = {job.video.video_id: _key(job, index.masks) for job in jobs}
    waiting = [
        job for job in jobs if out.finished(job.video.video_id, keys[job.video.video_id]) is None
    ]
    failures = _write(waiting, keys, config, out, runtime, progress)
    if failures and len(failures) == len(jobs):
        raise nothing_done(failures, "video")
    done = [job for job in jobs if job.video.video_id not in failures]
    empty = sum(not sentence.accepted for job in done for sentence in job.sentences)
    sentences = sum(len(job.sentences) for job in done)
    if empty:
        progress.warn(
            f"no track is accepted for {empty:,} of {amount(sentences, 'sentences')}: their masks "
            "are empty"
        )
    masks = _write_tables(out, done, keys)
    counts = {
        "videos": len(done),
        "videos failed": len(failures),
        "masks": masks,
        "accepted tracks": sum(len(s.accepted) for job in done for s in job.sentences),
        "sentences without a track": empty,
    }
    lines = failure_lines(dict(sorted(failures.items())))
    return Result(counts, lines, {"videos kept from before": len(jobs) - len(waiting)})


STAGE = Stage("assemble", 1, AssembleConfig, AssembleInputs, run)


def _write(
    waiting: Sequence[Job],
    keys: Mapping[str, str],
    config: AssembleConfig,
    out: Workspace,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, TglError]:
    """Write the videos that no earlier run finished; returns the errors of those that failed."""
    failures: dict[str, TglError] = {}
    with progress.task("assemble", len(waiting), "video") as task:
        for job, written in _written(waiting, config, runtime, progress):
            name = job.video.video_id
            if isinstance(written, TglError):
                failures[name] = input_failure(written)
                for folder in (out.path, out.path / OBJECTS_FOLDER):
                    remove_tree(folder / name)
            else:
                _finish(out, job, keys[name], written)
            task.advance()
    return failures


def _jobs(
    index: Index,
    accepted: Mapping[tuple[str, str], Sequence[Accepted]],
    config: AssembleConfig,
    inputs: AssembleInputs,
    out: Workspace,
    runtime: Runtime,
) -> list[Job]:
    """One job per video that has sentences, in the order of the index."""
    weights = None if inputs.backbone is None else weights_digest(inputs.backbone)
    jobs = []
    for video in index.videos.values():
        expressions = index.expressions_of(video.video_id)
        for expression in expressions:
            for track in accepted.get(expression.key, ()):
                safe_name(track.anno_id, where=f"{inputs.tracks}, {video.video_id}")
        sentences = tuple(Sentence(e, tuple(accepted.get(e.key, ()))) for e in expressions)
        if sentences:
            settings = (threads_per_device(runtime), runtime.precision, weights)
            jobs.append(Job(config, inputs, out.path, video, sentences, *settings))
    return jobs


def _key(job: Job, masks: MaskStore) -> str:
    """Digest of everything that a video's masks depend on beside the config."""
    video = job.video
    sentences = [
        [
            sentence.expression.expression_id,
            [[t.anno_id, t.moment.tobytes().hex(), t.relevance.tobytes().hex()] for t in tracks],
        ]
        for sentence in job.sentences
        for tracks in [sentence.accepted]
    ]
    tracks = sorted({track.anno_id for s in job.sentences for track in s.accepted})
    content = hashlib.sha256()
    for name in tracks:
        for frame, rle in masks.frames_of(name).items():
            content.update(f"{name}\0{frame}\0{rle['size']}\0".encode() + rle["counts"])
    frames = None if job.weights is None else frames_digest(video)
    about = [video.video_id, video.height, video.width, list(video.frame_names), frames]
    return text_digest(canonical_json([about, sentences, content.hexdigest(), job.weights]))


def _written(
    jobs: Sequence[Job], config: AssembleConfig, runtime: Runtime, progress: Progress
) -> Iterator[tuple[Job, WrittenVideo | TglError]]:
    """Write the videos, in parallel or on the runtime's devices."""
    if not config.propagates:
        return map_jobs(write_tracked, jobs, runtime=runtime)
    from stages.zero_shot.assemble.dual_path import write_propagated

    return map_on_devices(
        write_propagated, jobs, runtime=runtime, progress=progress, task=SilentTask()
    )


def _finish(out: Workspace, job: Job, key: str, written: WrittenVideo) -> None:
    name = job.video.video_id
    out.finish(f"{name}/{_OBJECTS_UNIT}", key, written.objects)
    out.finish(name, key, written.rows, written.files)


def _write_tables(out: Workspace, jobs: Sequence[Job], keys: Mapping[str, str]) -> int:
    """Write the tables of all finished videos; returns the number of masks.

    Raises:
        TglError: a finished video is missing.
    """
    masks, objects = 0, []
    with out.table_writer(PROPAGATION_TABLE, PROPAGATION) as table:
        for job in jobs:
            name = job.video.video_id
            rows = _finished(out, name, keys[name])
            objects.append(_finished(out, f"{name}/{_OBJECTS_UNIT}", keys[name]))
            table.write(rows)
            masks += rows.num_rows
    out.write_table(OBJECTS_TABLE, concatenate(objects, OBJECTS).combine_chunks(), OBJECTS)
    return masks


def _finished(out: Workspace, name: str, key: str) -> pa.Table:
    rows = out.finished(name, key)
    if rows is None:
        raise out.lost(f"the masks of video {name}")
    return rows

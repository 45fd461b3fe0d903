"""The stage toy: each clip of the synthetic data set is a unit."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from schemas.errors import TglError
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workers.pool import map_jobs
from stages.core.engine.workspace import Workspace
from stages.tools.toy.clip import make_clip
from stages.tools.toy.config import ToyConfig, ToyInputs
from stages.tools.toy.writing import describe, write_documents, write_frames, write_video

CLIP_RECORD = "said"
"""Key of a clip's record in its unit; units on disk keep it."""


@dataclass(frozen=True)
class ClipJob:
    """One clip to make, and the folder of its split."""

    config: ToyConfig
    split: str
    index: int
    root: Path

    @property
    def unit(self) -> str:
        """Name of the resumable unit."""
        return f"{self.split}/{self.index}"


def run(
    config: ToyConfig, inputs: ToyInputs, out: Workspace, *, runtime: Runtime, progress: Progress
) -> Result:
    """Make every clip of every split, then each split's documents.

    Writes below `out`: <split>/JPEGImages/<video>/<frame>.jpg, <split>/videos/<video>.mp4 and the
    documents of `write_documents`. Clips that an interrupted run finished are reused.
    """
    jobs = [
        ClipJob(config, split, index, out.path / split)
        for split, clips in config.split_clips().items()
        for index in range(clips)
    ]
    records = {job: record for job in jobs if (record := _finished(out, job)) is not None}
    with progress.task("toy clips", len(jobs), "clip") as task:
        task.advance(len(records))
        for job, record in _work([job for job in jobs if job not in records], out, runtime):
            records[job] = record
            task.advance()
    for split in config.split_clips():
        clips = {records[j]["video"]: records[j][CLIP_RECORD] for j in jobs if j.split == split}
        (out.path / split).mkdir(exist_ok=True)
        write_documents(out.path / split, clips)
    return Result(_count([records[job][CLIP_RECORD] for job in jobs]))


def make(job: ClipJob) -> tuple[dict[str, Any], list[Path]]:
    """Make a clip and write its files; returns its record for the documents, and the files."""
    clip = make_clip(job.config, job.split, job.index)
    files = [*write_frames(clip, job.root), write_video(clip, job.root, job.config.fps)]
    record = describe(clip, job.index, job.config.fps)
    return {"video": clip.video_id, CLIP_RECORD: record}, files


def _work(
    jobs: list[ClipJob], out: Workspace, runtime: Runtime
) -> Iterator[tuple[ClipJob, dict[str, Any]]]:
    for job, made in map_jobs(make, jobs, runtime=runtime):
        if isinstance(made, TglError):
            raise made
        record, files = made
        out.finish(job.unit, "", pa.table({"record": [json.dumps(record)]}), files)
        yield job, record


def _finished(out: Workspace, job: ClipJob) -> dict[str, Any] | None:
    rows = out.finished(job.unit, "")
    return None if rows is None else json.loads(rows["record"][0].as_py())


def _count(clips: list[dict[str, Any]]) -> dict[str, int]:
    """Clips, objects and expressions by their number of referents."""
    referents = [
        len(expression["anno_id"])
        for clip in clips
        for expression in clip["meta"]["expressions"].values()
    ]
    return {
        "clips": len(clips),
        "objects": sum(len(clip["objects"]) for clip in clips),
        "expressions": len(referents),
        "with one referent": sum(number == 1 for number in referents),
        "with several referents": sum(number > 1 for number in referents),
        "with no referent": sum(number == 0 for number in referents),
    }


STAGE = Stage(name="toy", version=1, config=ToyConfig, inputs=ToyInputs, run=run)

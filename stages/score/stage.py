"""The stage score: each video is a unit; the tables are the same for any number of workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from schemas.directories import write_text_atomic
from schemas.errors import CorruptInput, TglError
from schemas.layouts import (
    REPORT_FILE,
    SCORE_FRAMES_TABLE,
    SCORES_TABLE,
    SUMMARY_FILE,
)
from schemas.parquet import concatenate, rows_of
from schemas.tables import SCORE_FRAMES, SCORES
from stages.core.engine.digest import text_digest
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workers.pool import map_jobs
from stages.core.engine.workspace import Workspace
from stages.score.cases import ScoringFault, VideoCases, VideoJob
from stages.score.config import ERROR, NO_REPORT, ScoreConfig, ScoreInputs
from stages.score.faults import fault_error, frame_faults, nothing_matches, remarks
from stages.score.prediction_listing import PredictionListing, list_predictions
from stages.score.propagation import temporal_of
from stages.score.protocols import drop_empty
from stages.score.results.case_rows import case_rows
from stages.score.results.frame_rows import frame_table
from stages.score.results.summary import summarise, write_summary
from stages.score.temporal import TemporalScores
from stages.score.truth.reading import read_truth
from stages.score.worker import score_video


def run(
    config: ScoreConfig,
    inputs: ScoreInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Score every video; see :func:`stages.core.engine.execute.execute`."""
    videos, unscored = drop_empty(read_truth(config, inputs))
    if not any(video.cases for video in videos):
        raise CorruptInput("has no expression with a frame to score", where=inputs.gt)
    _refuse_mismatch(config, inputs, videos)
    listing = list_predictions(inputs.preds, videos)
    _refuse(config, listing.faults, inputs)
    tables = _score(config, inputs, videos, listing, out, runtime=runtime, progress=progress)
    temporal, untimed = temporal_of(inputs.preds, videos)
    faults = [*frame_faults(videos, tables), *untimed]
    _refuse(config, faults, inputs)
    summary = _write(
        config, inputs, videos, tables, temporal, out, runtime, extra=len(listing.extra)
    )
    for line in remarks(faults, listing.extra, unscored):
        progress.warn(line)
    return Result(
        {
            "videos": summary["videos"],
            "expressions": summary["expressions"],
            "frames": summary["frames"],
            "J&F": summary["JF"],
            "frames counted as 0": sum(fault.frames for fault in faults),
            "extra files left out": len(listing.extra),
            "expressions without a frame to score": len(unscored),
        }
    )


STAGE = Stage("score", 2, ScoreConfig, ScoreInputs, run)


def _score(
    config: ScoreConfig,
    inputs: ScoreInputs,
    videos: Sequence[VideoCases],
    listing: PredictionListing,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, pa.Table]:
    """Return the score_frames rows of each video; videos finished earlier are not scored again."""
    truth = inputs.truth_digest()
    keys = {name: text_digest(f"{truth} {digest}") for name, digest in listing.digests.items()}
    tables: dict[str, pa.Table] = {}
    jobs = []
    for video in videos:
        rows = out.finished(video.video_id, keys[video.video_id])
        if rows is None:
            jobs.append(VideoJob(video, inputs.preds))
        else:
            tables[video.video_id] = rows.cast(SCORE_FRAMES.schema)
    jobs.sort(key=lambda job: -sum(len(case.frames) for case in job.video.cases))
    with progress.task("score", len(videos), "video") as task:
        task.advance(len(tables))
        for job, results in map_jobs(score_video, jobs, runtime=runtime):
            name = job.video.video_id
            if isinstance(results, TglError):
                if results.where is None:
                    results.relocate(f"video {name}")
                raise results
            tables[name] = frame_table(job.video, results)
            if config.missing != ERROR or not any(result.faults for result in results):
                out.finish(name, keys[name], tables[name])
            task.advance()
    return tables


def _refuse(config: ScoreConfig, faults: Sequence[ScoringFault], inputs: ScoreInputs) -> None:
    if faults and config.missing == ERROR:
        raise fault_error(faults, inputs.preds)


def _refuse_mismatch(config: ScoreConfig, inputs: ScoreInputs, videos: list[VideoCases]) -> None:
    error = nothing_matches(inputs.preds, videos)
    if error is not None and config.missing == ERROR:
        raise error


def _write(
    config: ScoreConfig,
    inputs: ScoreInputs,
    videos: Sequence[VideoCases],
    tables: Mapping[str, pa.Table],
    temporal: Mapping[tuple[str, str], TemporalScores],
    out: Workspace,
    runtime: Runtime,
    *,
    extra: int,
) -> dict[str, Any]:
    """Write all files of the artifact; returns the summary."""
    frames = concatenate((tables[video.video_id] for video in videos), SCORE_FRAMES)
    rows = [row for video in videos for row in case_rows(video, tables[video.video_id], temporal)]
    scores = rows_of(rows, SCORES)
    out.write_table(SCORE_FRAMES_TABLE, frames, SCORE_FRAMES)
    out.write_table(SCORES_TABLE, scores, SCORES)
    summary = summarise(config, videos, scores, frames, temporal, extra=extra)
    write_summary(out.path / SUMMARY_FILE, summary)
    if config.pictures != NO_REPORT:
        from stages.score.report.page import report_page  # loads Pillow

        page = report_page(summary, videos, scores, frames, inputs, config, runtime)
        write_text_atomic(out.path / REPORT_FILE, page)
    return summary

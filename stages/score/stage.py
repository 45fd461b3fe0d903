"""The stage score: each video is a unit; the tables come out the same for any number of workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from schemas.directories import write_text_atomic
from schemas.errors import ConfigError, TglError
from schemas.layouts import (
    REPORT_FILE,
    SCORE_FRAMES_TABLE,
    SCORES_TABLE,
    SUMMARY_FILE,
    VIDEOS_TABLE,
)
from schemas.parquet import concatenate, rows_of
from schemas.tables import SCORE_FRAMES, SCORES
from stages.engine.digest import require_folder, text_digest
from stages.engine.pool import map_jobs
from stages.engine.progress import Progress
from stages.engine.runtime import Runtime
from stages.engine.stage import Result, Stage
from stages.engine.workspace import Workspace
from stages.score.case_rows import case_rows
from stages.score.cases import Fault, VideoCases
from stages.score.config import ERROR, NO_REPORT, ScoreConfig, ScoreInputs
from stages.score.faults import fault_error
from stages.score.frame_rows import frame_table
from stages.score.propagation import temporal_of
from stages.score.protocols import LABELLED, choose_frames, drop_empty
from stages.score.summary import summarise, write_summary
from stages.score.survey import Survey, survey
from stages.score.truth_folder import read_folder
from stages.score.truth_index import read_index
from stages.score.truth_labels import read_labels_folder
from stages.score.truth_mevis import is_mevis, read_mevis
from stages.score.worker import VideoJob, score_video


def run(
    config: ScoreConfig,
    inputs: ScoreInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Score every video; see :func:`stages.engine.execute.execute`."""
    videos, unscored = drop_empty(read_truth(config, inputs))
    found = survey(inputs.preds, videos)
    if found.faults and config.missing == ERROR:
        raise fault_error(found.faults, inputs.preds)
    tables = _score(config, inputs, videos, found, out, runtime=runtime, progress=progress)
    temporal, untimed = temporal_of(inputs.preds, videos)
    frames = concatenate((tables[video.video_id] for video in videos), SCORE_FRAMES)
    faults = [*_faults(videos, tables), *untimed]
    if faults and config.missing == ERROR:
        raise fault_error(faults, inputs.preds)
    rows = [row for video in videos for row in case_rows(video, tables[video.video_id], temporal)]
    scores = rows_of(rows, SCORES)
    out.write_table(SCORE_FRAMES_TABLE, frames, SCORE_FRAMES)
    out.write_table(SCORES_TABLE, scores, SCORES)
    summary = summarise(config, videos, scores, frames, temporal, extra=len(found.extra))
    write_summary(out.path / SUMMARY_FILE, summary)
    if config.pictures != NO_REPORT:
        from stages.score.report.page import report_page  # pictures are not always wanted

        page = report_page(summary, videos, scores, frames, inputs.preds, config.pictures)
        write_text_atomic(out.path / REPORT_FILE, page)
    _warn(progress, found, faults)
    if unscored:
        first = "/".join(unscored[0].key)
        progress.warn(f"{len(unscored)} expressions have no frame to score, first {first}")
    return Result(
        {
            "videos": len(videos),
            "expressions": scores.num_rows,
            "frames": frames.num_rows,
            "J&F": summary["JF"],
            "frames counted as 0": sum(fault.frames for fault in faults),
            "extra files left out": len(found.extra),
            "expressions without a frame to score": len(unscored),
        }
    )


STAGE = Stage("score", 1, ScoreConfig, ScoreInputs, run)


def read_truth(config: ScoreConfig, inputs: ScoreInputs) -> list[VideoCases]:
    """All cases that the ground truth asks for under a protocol.

    Raises:
        MissingInput: a folder is not there, or is nothing that can be scored against.
    """
    require_folder(inputs.preds)
    root = require_folder(inputs.gt)
    sentences = (root / VIDEOS_TABLE).is_file() or is_mevis(root)
    if sentences and config.protocol in LABELLED:
        raise ConfigError(
            f"{config.protocol} compares label images, the ground truth has sentences",
            where="--protocol",
            hint="name the folder of annotations, <video>/<frame>.png",
        )
    if (root / VIDEOS_TABLE).is_file():
        videos = read_index(root)
    elif is_mevis(root):
        videos = read_mevis(root)
    elif config.protocol in LABELLED:
        videos = read_labels_folder(root)
    else:
        videos = read_folder(root)
    return choose_frames(config.protocol, videos)


def _score(
    config: ScoreConfig,
    inputs: ScoreInputs,
    videos: Sequence[VideoCases],
    found: Survey,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> dict[str, pa.Table]:
    """The score_frames rows of each video; those finished earlier are taken over."""
    truth = inputs.truth_digest()
    keys = {name: text_digest(f"{truth} {digest}") for name, digest in found.digests.items()}
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
            if isinstance(results, TglError):
                raise results
            name = job.video.video_id
            tables[name] = frame_table(job.video, results)
            if config.missing != ERROR or not any(result.faults for result in results):
                out.finish(name, keys[name], tables[name])
            task.advance()
    return tables


def _faults(videos: Sequence[VideoCases], tables: dict[str, pa.Table]) -> list[Fault]:
    """Faults of the frames that were read, in order of the frames table."""
    faults = []
    for video in videos:
        table = tables[video.video_id]
        bad = table.filter(table.column("fault").is_valid())
        for row in bad.select(["expression_id", "frame", "fault"]).to_pylist():
            name = video.frame_names[row["frame"]]
            where = f"video {video.video_id}, expression {row['expression_id']}, frame {name}"
            faults.append(Fault(row["fault"], where))
    return faults


def _warn(progress: Progress, found: Survey, faults: Sequence[Fault]) -> None:
    frames = sum(fault.frames for fault in faults)
    if faults:
        kinds = Counter(fault.kind.split(" (")[0] for fault in faults)
        listed = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common())
        progress.warn(f"{frames} frames counted as 0 ({listed}); first: {faults[0]}")
    if found.extra:
        progress.warn(
            f"{len(found.extra)} extra files or folders are not scored, first: {found.extra[0]}"
        )

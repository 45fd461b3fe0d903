"""Moments per referent: a judge decides which tracks a sentence describes, and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from schemas.errors import CorruptInput, MissingInput, TglError
from schemas.layouts import MOMENTS_TABLE
from schemas.parquet import rows_of
from schemas.tables import MOMENTS
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result
from stages.core.engine.workers.devices import DeviceWorker, NotLoaded
from stages.core.engine.workspace import Workspace
from stages.core.index.frame_files import require_unchanged
from stages.core.index.index import Index
from stages.core.index.masks import Track
from stages.core.media.spans import span_mask
from stages.tools.select_moments.agreement import frame_iou, frame_precision, span_iou
from stages.tools.select_moments.config import TRUTH, SelectConfig, SelectInputs
from stages.tools.select_moments.judges.judge import Case
from stages.tools.select_moments.judges.registry import load_judge, prepare_judge
from stages.tools.select_moments.videos import VideoJob, run_videos

if TYPE_CHECKING:
    from stages.tools.select_moments.judges.judge import Judge, Verdict

_SPAN = pa.struct(
    [("start", pa.int32()), ("end", pa.int32()), ("score", pa.float32())],
)
_VERDICTS = pa.schema(
    [
        ("expression_id", pa.string()),
        ("anno_id", pa.string()),
        ("source", pa.string()),
        ("accepted", pa.bool_()),
        ("spans", pa.list_(_SPAN)),
        ("span_iou", pa.float64()),
        ("frame_iou", pa.float64()),
        ("frame_precision", pa.float64()),
    ]
)
"""Rows of a unit: one for each sentence and track; agreement is null without annotated moments."""
_AGREEMENT = {"span_iou": "span IoU", "frame_iou": "frame IoU", "frame_precision": "frame AP"}


def select_for_referents(
    config: SelectConfig,
    inputs: SelectInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Choose moments for every track that a sentence describes."""
    index = Index.open(inputs.index)
    if config.model != TRUTH:
        index.require_frames()
    if not any(expression.anno_ids for expression in index.expressions):
        raise MissingInput(
            "no sentence of the index has tracks",
            where=inputs.index,
            hint="make them with tgl ground and tgl track",
        )
    found = run_videos(
        judge_video,
        index,
        config,
        inputs,
        out,
        runtime=runtime,
        progress=progress,
        units=lambda video: video.num_frames,
        prepare=lambda: prepare_judge(config, inputs, progress),
    )
    moments = rows_of(_moments(found.tables), MOMENTS)
    out.write_table(MOMENTS_TABLE, moments, MOMENTS)
    counts = {**found.counts(), **_counts(index, found.tables), "moments": moments.num_rows}
    counts |= _agreement(found.tables)
    return Result(counts, found.lines(), run_counts={"videos kept from before": found.kept})


def judge_video(job: VideoJob, worker: DeviceWorker) -> pa.Table | NotLoaded:
    """Verdicts on one video."""
    index = worker.keep("index", job.kept, lambda: Index.open(job.inputs.index))
    try:
        judge = worker.keep("judge", job.kept, lambda: _load_judge(job, worker))
    except TglError as error:
        return NotLoaded(error)
    case = case_of(index, job.video_id)
    require_unchanged(case.video)
    verdicts = judge.judge(case, worker.advance)
    return pa.Table.from_pylist(
        [_row(index, case, verdict, judge.source) for verdict in verdicts], _VERDICTS
    )


def _load_judge(job: VideoJob, worker: DeviceWorker) -> Judge:
    return load_judge(job.config, job.inputs, replace(job.runtime, device=worker.device))


def case_of(index: Index, video_id: str) -> Case:
    """One video of an index, with the tracks of its sentences.

    Raises:
        CorruptInput: a mask has another size than the video, or lies on a frame beyond its end.
    """
    video, expressions = index.videos[video_id], index.expressions_of(video_id)
    names = sorted({anno_id for expression in expressions for anno_id in expression.anno_ids})
    tracks: dict[str, Track] = {}
    for name in names:
        tracks[name] = index.masks.frames_of(name)
        for frame, rle in tracks[name].items():
            if list(rle["size"]) != [video.height, video.width] or frame >= video.num_frames:
                raise CorruptInput(
                    f"the mask of track {name} on frame {frame} ({rle['size'][1]}x"
                    f"{rle['size'][0]}) does not fit video {video_id}, which has "
                    f"{video.num_frames} frames of {video.width}x{video.height}",
                    where=index.folder,
                )
    return Case(video, expressions, tracks)


def _row(index: Index, case: Case, verdict: Verdict, source: str) -> dict[str, Any]:
    """A row of a unit."""
    expression = case.expressions[verdict.pair.row]
    row: dict[str, Any] = {
        "expression_id": expression.expression_id,
        "anno_id": verdict.pair.anno_id,
        "source": source,
        "accepted": verdict.accepted,
        "spans": [
            {"start": start, "end": end, "score": score} for (start, end), score in verdict.spans
        ],
    }
    annotated = index.moments(*expression.key).get(verdict.pair.anno_id)
    if annotated:
        frames = case.video.num_frames
        row["span_iou"] = span_iou(verdict.spans, annotated)
        row["frame_iou"] = frame_iou(verdict.spans, annotated, frames)
        if verdict.frame_scores is not None:
            relevant = span_mask(annotated, frames)
            row["frame_precision"] = frame_precision(verdict.frame_scores, relevant)
    return row


def _moments(tables: Mapping[str, pa.Table]) -> Iterator[dict[str, Any]]:
    """Rows of the moments table: the spans of the accepted tracks."""
    for video, table in tables.items():
        for row in table.to_pylist():
            for span in row["spans"] if row["accepted"] else ():
                yield {
                    "video_id": video,
                    "expression_id": row["expression_id"],
                    "anno_id": row["anno_id"],
                    "start_frame": span["start"],
                    "end_frame": span["end"],
                    "source": row["source"],
                    "score": span["score"],
                }


def _counts(index: Index, tables: Mapping[str, pa.Table]) -> dict[str, int]:
    """Counts of sentences, and of tracks by verdict."""
    sentences = sum(len(index.expressions_of(video)) for video in tables)
    accepted = total = 0
    named: set[tuple[str, str]] = set()
    for video, table in tables.items():
        total += table.num_rows
        for name, taken in zip(
            table.column("expression_id").to_pylist(),
            table.column("accepted").to_pylist(),
            strict=True,
        ):
            accepted += taken
            if taken:
                named.add((video, name))
    return {
        "expressions": sentences,
        "tracks accepted": accepted,
        "tracks rejected": total - accepted,
        "expressions without a target": sentences - len(named),
    }


def _agreement(tables: Mapping[str, pa.Table]) -> dict[str, float]:
    """Mean agreement with annotated moments, over the tracks that have some."""
    found: dict[str, float] = {}
    for column, name in _AGREEMENT.items():
        values = [v for t in tables.values() for v in t.column(column).to_pylist() if v is not None]
        if values:
            found.setdefault("with annotated moments", len(values))
            found[name] = float(np.mean(values))
    return found

"""Moments per sentence: each frame is scored once for all sentences of its video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from schemas.errors import TglError
from schemas.layouts import MOMENTS_TABLE
from schemas.parquet import concatenate, rows_of
from schemas.tables import MOMENTS
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result
from stages.core.engine.workers.devices import DeviceWorker, NotLoaded
from stages.core.engine.workspace import Workspace
from stages.core.index.frame_files import require_unchanged
from stages.core.index.index import Index, Video
from stages.core.media.frames import read_frame
from stages.core.model.loading.families import require_image_text
from stages.core.model.loading.hub import require_model
from stages.tools.select_moments.config import MODEL_OPTION, SelectConfig, SelectInputs, source_name
from stages.tools.select_moments.spans import choose_spans, spread
from stages.tools.select_moments.videos import VideoJob, run_videos

if TYPE_CHECKING:
    from stages.tools.select_moments.scorers import FrameScorer

_BATCH = 16
_BEST = "tgl.best_frame"
"""Column of a unit's rows besides those of the moments table: the sentence's best frame."""


def select_for_sentences(
    config: SelectConfig,
    inputs: SelectInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Choose moments for every sentence."""
    index = Index.open(inputs.index)
    index.require_frames()
    found = run_videos(
        select_video,
        index,
        config,
        inputs,
        out,
        runtime=runtime,
        progress=progress,
        units=lambda video: len(_scored(video, config)),
        prepare=lambda: require_model(
            config.model, option=MODEL_OPTION, progress=progress, check=require_image_text
        ),
    )
    tables = list(found.tables.values())
    moments = concatenate((rows.select(MOMENTS.schema.names) for rows in tables), MOMENTS)
    out.write_table(MOMENTS_TABLE, moments.combine_chunks(), MOMENTS)
    done = sum(len(index.expressions_of(video)) for video in found.tables)
    counts = {
        **found.counts(),
        "expressions": done,
        "moments": moments.num_rows,
        **_top1(index, tables),
    }
    return Result(counts, found.lines(), run_counts={"videos kept from before": found.kept})


def select_video(job: VideoJob, worker: DeviceWorker) -> pa.Table | NotLoaded:
    """Rows of the moments table of one video, and each sentence's best frame."""
    config = job.config
    index = worker.keep("index", job.kept, lambda: Index.open(job.inputs.index))
    video = index.videos[job.video_id]
    try:
        scorer = worker.keep("scorer", job.kept, lambda: _scorer(job, worker))
    except TglError as error:
        return NotLoaded(error)
    require_unchanged(video)
    expressions = index.expressions_of(job.video_id)
    sentences = scorer.encode([expression.text for expression in expressions])
    parts = []
    for batch in _batches(_scored(video, config)):
        frames = [read_frame(video.frame_path(frame)) for frame in batch]
        parts.append(scorer.score(frames, sentences))  # (B, E)
        worker.advance(len(batch))
    scores = spread(np.concatenate(parts), config.frame_stride, video.num_frames)  # (T, E)
    rows, best = [], []
    for column, expression in enumerate(expressions):
        for start, end in choose_spans(scores[:, column], config):
            rows.append(
                {
                    "video_id": video.video_id,
                    "expression_id": expression.expression_id,
                    "anno_id": None,
                    "start_frame": start,
                    "end_frame": end,
                    "source": source_name(config.model),
                    "score": float(scores[start:end, column].mean()),
                }
            )
            best.append(int(scores[:, column].argmax()))
    return rows_of(rows, MOMENTS).append_column(_BEST, pa.array(best, pa.int32()))


def _scorer(job: VideoJob, worker: DeviceWorker) -> FrameScorer:
    from stages.tools.select_moments.scorers import load_scorer

    return load_scorer(job.config.model, replace(job.runtime, device=worker.device))


def _scored(video: Video, config: SelectConfig) -> range:
    """The frames to score in a video."""
    return range(0, video.num_frames, config.frame_stride)


def _batches(frames: range) -> Iterator[range]:
    for first in range(0, len(frames), _BATCH):
        yield frames[first : first + _BATCH]


def _top1(index: Index, tables: Iterable[pa.Table]) -> dict[str, float]:
    """Key-frame top-1: the share of best frames that lie in an annotated moment."""
    best: dict[tuple[str, str], int] = {}
    for table in tables:
        names = ("video_id", "expression_id", _BEST)
        for video, name, frame in zip(*(table.column(n).to_pylist() for n in names), strict=True):
            best[video, name] = frame
    relevant = ((index.relevant(*key), frame) for key, frame in best.items())
    hits = [bool(frames[best_frame]) for frames, best_frame in relevant if frames.any()]
    if not hits:
        return {}
    return {"with annotated moments": len(hits), "key-frame top-1": sum(hits) / len(hits)}

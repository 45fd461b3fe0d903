"""The stage select-moments: each video is a unit, each frame is scored once for all sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from schemas.layouts import MOMENTS_TABLE
from schemas.parquet import concatenate, rows_of
from schemas.receipts import canonical_json
from schemas.tables import MOMENTS
from stages.core.engine.digest import text_digest
from stages.core.engine.progress import Progress, Task
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workspace import Workspace
from stages.core.index.frame_files import require_unchanged
from stages.core.index.index import Expression, Index, Video
from stages.core.media.frames import read_frame
from stages.core.model.loading.hub import require_model
from stages.tools.select_moments.config import MODEL_OPTION, SelectConfig, SelectInputs
from stages.tools.select_moments.spans import choose_spans, spread

if TYPE_CHECKING:
    from stages.tools.select_moments.scorers import FrameScorer

_BATCH = 16
_BEST = "tgl.best_frame"
"""Column of a unit's rows besides those of the moments table: the sentence's best frame."""


def run(
    config: SelectConfig,
    inputs: SelectInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Choose moments for every sentence; see :func:`stages.core.engine.execute.execute`."""
    index = Index.open(inputs.index)
    index.require_frames()
    digest = text_digest(canonical_json(inputs.digests()))
    videos = [video for video in index.videos.values() if index.expressions_of(video.video_id)]
    tables = {video.video_id: out.finished(video.video_id, digest) for video in videos}
    waiting = [video for video in videos if tables[video.video_id] is None]
    if waiting:
        scorer = _scorer(config, runtime)
        frames = sum(_scored(video, config) for video in waiting)
        with progress.task("select-moments", frames, "frame") as task:
            for video in waiting:
                require_unchanged(video)
                expressions = index.expressions_of(video.video_id)
                rows = _select(video, expressions, scorer, config, task)
                out.finish(video.video_id, digest, rows)
                tables[video.video_id] = rows
    found = [rows for rows in tables.values() if rows is not None]
    moments = concatenate((rows.select(MOMENTS.schema.names) for rows in found), MOMENTS)
    out.write_table(MOMENTS_TABLE, moments.combine_chunks(), MOMENTS)
    counts = {
        "videos": len(videos),
        "expressions": len(index.expressions),
        "moments": moments.num_rows,
        **_top1(index, found),
    }
    return Result(counts, run_counts={"videos kept from before": len(videos) - len(waiting)})


STAGE = Stage("select-moments", 1, SelectConfig, SelectInputs, run)


def _scorer(config: SelectConfig, runtime: Runtime) -> FrameScorer:
    # Asked before torch is loaded, so that the message comes at once without a network.
    require_model(config.model, option=MODEL_OPTION)
    from stages.tools.select_moments.scorers import load_scorer

    return load_scorer(config.model, runtime)


def _scored(video: Video, config: SelectConfig) -> int:
    """Number of frames to score in a video."""
    return len(range(0, video.num_frames, config.stride))


def _select(
    video: Video,
    expressions: list[Expression],
    scorer: FrameScorer,
    config: SelectConfig,
    task: Task,
) -> pa.Table:
    """Rows of the moments table of one video, and each sentence's best frame."""
    sentences = scorer.encode([expression.text for expression in expressions])
    parts = []
    for batch in _batches(range(0, video.num_frames, config.stride)):
        frames = [read_frame(video.frame_path(frame)) for frame in batch]
        parts.append(scorer.score(frames, sentences))  # (B, E)
        task.advance(len(batch))
    scores = spread(np.concatenate(parts), config.stride, video.num_frames)  # (T, E)
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
                    "source": config.model.rstrip("/").rsplit("/", 1)[-1],
                    "score": float(scores[start:end, column].mean()),
                }
            )
            best.append(int(scores[:, column].argmax()))
    return rows_of(rows, MOMENTS).append_column(_BEST, pa.array(best, pa.int32()))


def _batches(frames: range) -> Iterator[range]:
    for first in range(0, len(frames), _BATCH):
        yield frames[first : first + _BATCH]


def _top1(index: Index, tables: list[pa.Table]) -> dict[str, float]:
    """Key-frame top-1: the share of best frames that lie in an annotated moment."""
    best: dict[tuple[str, str], int] = {}
    for table in tables:
        names = ("video_id", "expression_id", _BEST)
        for video, name, frame in zip(*(table.column(n).to_pylist() for n in names), strict=True):
            best[video, name] = frame
    hits = [bool(index.relevant(*key)[frame]) for key, frame in best.items() if index.moments(*key)]
    if not hits:
        return {}
    return {"with annotated moments": len(hits), "key-frame top-1": sum(hits) / len(hits)}

"""The stage that fills the frames between those for which there are masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.layouts import PROPAGATION_TABLE, mask_path
from schemas.parquet import concatenate, read_table
from schemas.tables import PROPAGATION
from schemas.vocabulary import PROMPTED, PROPAGATED
from stages.core.engine.digest import artifact_digest
from stages.core.engine.progress import Progress
from stages.core.engine.runtime import Runtime
from stages.core.engine.settings import Settings
from stages.core.engine.stage import Inputs, Result, Stage
from stages.core.engine.workspace import Workspace
from stages.core.index.index import Expression, Index, Video
from stages.core.index.mask_writer import MaskWriter
from stages.core.index.propagation_rows import PropagationRows
from stages.core.media.frames import read_frame
from stages.tools.segment.between.choosing import nearest_known
from stages.tools.segment.between.interpolation import masks_between


@dataclass(frozen=True)
class FillConfig(Settings):
    """There is nothing to set."""


@dataclass(frozen=True)
class FillInputs(Inputs):
    """Inputs of the stage.

    Attributes:
        index: of one video with all of its frames.
        some: an index of some of these frames.
        masks: of the same sentences on those frames.
    """

    index: Path
    some: Path
    masks: Path

    def digests(self) -> dict[str, str]:
        """Digests of the indexes and the masks; the pixels of the frames are not read."""
        return {
            "index": artifact_digest(self.index),
            "some": artifact_digest(self.some),
            "masks": artifact_digest(self.masks),
        }


def run(
    config: FillConfig,
    inputs: FillInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Write a mask for every sentence and frame: the known ones, and others between them."""
    index = Index.open(inputs.index)
    (video,) = index.videos.values()
    (some,) = Index.open(inputs.some).videos.values()
    number = {name: frame for frame, name in enumerate(video.frame_names)}
    known = [number[name] for name in some.frame_names]
    rows = _rows_of(inputs.masks)
    parts = []
    with (
        progress.task("fill", len(index.expressions) * video.num_frames, "mask") as task,
        ThreadPoolExecutor(1) as writers,
    ):
        writer = MaskWriter(out.path, writers)
        for expression in index.expressions:
            areas = np.zeros(video.num_frames, np.int64)
            for frame, mask in _masks(inputs.masks, video, expression, known):
                areas[frame] = mask.sum()
                writer.write(video, expression, frame, mask)
                task.advance()
            parts.append(_table(video, expression, known, rows[expression.expression_id], areas))
        writer.wait()
    table = concatenate(parts, PROPAGATION)
    out.write_table(PROPAGATION_TABLE, table, PROPAGATION)
    between = (video.num_frames - len(known)) * len(index.expressions)
    return Result({"videos": 1, "masks": table.num_rows, "interpolated masks": between})


STAGE = Stage("segment", 1, FillConfig, FillInputs, run)


def _rows_of(masks: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows of the propagation table by sentence, in order of time."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in read_table(masks / PROPAGATION_TABLE, PROPAGATION).sort_by("frame").to_pylist():
        found.setdefault(row["expression_id"], []).append(row)
    return found


def _masks(
    root: Path, video: Video, expression: Expression, known: Sequence[int]
) -> Iterator[tuple[int, np.ndarray]]:
    """Each frame with its mask, bool (H, W), in order."""

    def read(frame: int) -> np.ndarray:
        name = video.frame_names[frame]
        path = mask_path(root, video.video_id, expression.expression_id, name)
        return read_frame(path)[:, :, 0] > 0

    last = read(known[0])
    yield known[0], last
    for start, end in pairwise(known):
        first, last = last, read(end)
        yield from enumerate(masks_between(first, last, end - start), start + 1)
        yield end, last


def _table(
    video: Video,
    expression: Expression,
    known: Sequence[int],
    rows: Sequence[Mapping[str, Any]],
    areas: np.ndarray,
) -> pa.Table:
    """Rows of a sentence; a frame between two known ones takes those of the nearer one."""
    frames = np.arange(video.num_frames)
    nearest = nearest_known(video.num_frames, known)
    own = set(known)

    def numbers(column: str) -> np.ndarray:
        values = [np.nan if row[column] is None else row[column] for row in rows]
        return np.array(values, np.float32)[nearest]

    routes = [rows[place]["route"] for place in nearest]
    return PropagationRows(
        video.video_id,
        [expression.expression_id] * video.num_frames,
        frames.tolist(),
        [
            PROPAGATED if route == PROMPTED and frame not in own else route
            for frame, route in enumerate(routes)
        ],
        numbers("relevance"),
        numbers("object_score"),
        areas,
    ).table(unknown_relevance=True)

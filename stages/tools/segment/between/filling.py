"""The stage that fills the frames between those for which there are masks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.layouts import OBJECTS_TABLE, PROPAGATION_TABLE, mask_path, object_mask_path
from schemas.parquet import concatenate, read_table, rows_of
from schemas.tables import OBJECTS, PROPAGATION
from schemas.vocabulary import PROMPTED, PROPAGATED
from stages.core.engine.digest import artifact_digest
from stages.core.engine.progress import Progress, Task
from stages.core.engine.runtime import Runtime
from stages.core.engine.settings import Settings, setting
from stages.core.engine.stage import Inputs, Result, Stage
from stages.core.engine.workspace import Workspace
from stages.core.index.index import Expression, Index, Video
from stages.core.index.mask_writer import MaskWriter
from stages.core.index.propagation_rows import PropagationRows
from stages.core.media.frames import read_frame
from stages.tools.segment.between.choosing import nearest_known
from stages.tools.segment.between.interpolation import masks_between
from stages.tools.segment.between.objects import object_masks, read_objects
from stages.zero_shot.assemble.config import NO_OBJECTS, PALETTE
from stages.zero_shot.assemble.object_images import scored_palette_png


@dataclass(frozen=True)
class FillConfig(Settings):
    """The images to write."""

    objects: str = setting(
        NO_OBJECTS,
        "Write an image of the numbered objects of each sentence and frame as well.",
        choices=(NO_OBJECTS, PALETTE),
        omit_default=True,
    )


@dataclass(frozen=True)
class FillInputs(Inputs):
    """Inputs of the stage.

    Attributes:
        index: of videos with all of their frames.
        some: an index of some of these frames.
        masks: of the same sentences on those frames.
        tracks: index of the tracks that these masks are made of, each of which is then filled
            alone; None where objects are not told apart.
    """

    index: Path
    some: Path
    masks: Path
    tracks: Path | None = None

    def digests(self) -> dict[str, str]:
        """Digests of the indexes and the masks; the pixels of the frames are not read."""
        found = {
            "index": artifact_digest(self.index),
            "some": artifact_digest(self.some),
            "masks": artifact_digest(self.masks),
        }
        return found if self.tracks is None else found | {"tracks": artifact_digest(self.tracks)}


def run(
    config: FillConfig,
    inputs: FillInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Write a mask for every sentence and frame: the known ones, and others between them."""
    index, some = Index.open(inputs.index), Index.open(inputs.some)
    rows = _rows_of(inputs.masks)
    objects = None if inputs.tracks is None else _Objects(config, inputs, out)
    total = sum(index.videos[one.video_id].num_frames for one in index.expressions)
    parts, between = [], 0
    with progress.task("fill", total, "mask") as task:
        for video in index.videos.values():
            number = {name: frame for frame, name in enumerate(video.frame_names)}
            known = [number[name] for name in some.videos[video.video_id].frame_names]
            expressions = index.expressions_of(video.video_id)
            for expression in expressions:
                masks = (
                    _masks(inputs.masks, video, expression, known)
                    if objects is None
                    else objects.write(video, expression, known)
                )
                areas = _write(out, video, expression, masks, task)
                parts.append(_table(video, expression, known, rows[expression.key], areas))
            between += (video.num_frames - len(known)) * len(expressions)
    table = concatenate(parts, PROPAGATION)
    out.write_table(PROPAGATION_TABLE, table, PROPAGATION)
    if objects is not None:
        out.write_table(OBJECTS_TABLE, rows_of(objects.rows, OBJECTS), OBJECTS)
    counts = {"videos": len(index.videos), "masks": table.num_rows, "interpolated masks": between}
    return Result(counts)


STAGE = Stage("segment", 1, FillConfig, FillInputs, run)


def _write(
    out: Workspace, video: Video, expression: Expression, masks: Iterable[np.ndarray], task: Task
) -> np.ndarray:
    """Write the masks of a sentence; returns the area of each."""
    areas = np.zeros(video.num_frames, np.int64)
    with ThreadPoolExecutor(1) as writers:
        writer = MaskWriter(out.path, writers)
        for frame, mask in enumerate(masks):
            areas[frame] = mask.sum()
            writer.write(video, expression, frame, mask)
            task.advance()
        writer.wait()
    return areas


class _Objects:
    """Fills the objects of sentences, each alone, and writes their images if asked to.

    Attributes:
        rows: of the objects table, for the sentences that are written.
    """

    def __init__(self, config: FillConfig, inputs: FillInputs, out: Workspace):
        assert inputs.tracks is not None
        self.rows: list[dict[str, Any]] = []
        self._images = config.objects == PALETTE
        self._out = out
        self._tracks = Index.open(inputs.tracks)
        self._objects = read_objects(inputs.masks)

    def write(
        self, video: Video, expression: Expression, known: Sequence[int]
    ) -> Iterator[np.ndarray]:
        """Write what belongs to the objects of a sentence; yields their union, bool (H, W)."""
        own = self._objects.get(expression.key, [])
        visible = [0] * len(own)
        streams = [object_masks(self._tracks, one.anno_id, video, known) for one in own]
        for frame in range(video.num_frames):
            masks = [next(stream) for stream in streams]
            if self._images:
                self._write_image(video, expression, frame, masks, [one.score for one in own])
            union = np.zeros((video.height, video.width), bool)
            for place, mask in enumerate(masks):
                visible[place] += bool(mask.any())
                union |= mask
            yield union
        self.rows += [
            {
                "video_id": video.video_id,
                "expression_id": expression.expression_id,
                **vars(one),
                "visible_frames": frames,
            }
            for one, frames in zip(own, visible, strict=True)
        ]

    def _write_image(
        self,
        video: Video,
        expression: Expression,
        frame: int,
        masks: Sequence[np.ndarray],
        scores: Sequence[float | None],
    ) -> None:
        name = expression.expression_id
        path = object_mask_path(self._out.path, video.video_id, name, video.frame_names[frame])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # it may be a hard link into the present artifact
        size = (video.height, video.width)
        named = f"video {video.video_id}, expression {name}"
        path.write_bytes(scored_palette_png(masks, scores, size, where=named))


def _rows_of(masks: Path) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Rows of the propagation table by video and sentence, in order of time."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in read_table(masks / PROPAGATION_TABLE, PROPAGATION).sort_by("frame").to_pylist():
        found.setdefault((row["video_id"], row["expression_id"]), []).append(row)
    return found


def _masks(
    root: Path, video: Video, expression: Expression, known: Sequence[int]
) -> Iterator[np.ndarray]:
    """The mask of each frame, bool (H, W), in order."""

    def read(frame: int) -> np.ndarray:
        name = video.frame_names[frame]
        path = mask_path(root, video.video_id, expression.expression_id, name)
        return read_frame(path)[:, :, 0] > 0

    last = read(known[0])
    yield last
    for start, end in pairwise(known):
        first, last = last, read(end)
        yield from masks_between(first, last, end - start)
        yield last


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

"""The stage that fills the frames between those for which there are masks."""

from __future__ import annotations

import hashlib
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
from schemas.receipts import canonical_json
from schemas.tables import OBJECTS, PROPAGATION
from schemas.vocabulary import PROMPTED, PROPAGATED
from stages.core.engine.digest import artifact_digest, text_digest
from stages.core.engine.progress import Progress, Task, counted
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
from stages.tools.segment.between.objects import NumberedObject, object_masks, read_objects
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
    index = Index.open(inputs.index)
    filling = _Filling(
        inputs,
        out,
        index,
        Index.open(inputs.some),
        _rows_of(inputs.masks),
        None if inputs.tracks is None else _Objects(config, inputs, out),
    )
    total = sum(index.videos[one.video_id].num_frames for one in index.expressions)
    with progress.task("fill", total, "mask") as task:
        videos = counted(index.videos.values(), len(index.videos), task)
        tables = [filling.fill(video, task) for video in videos]
    table = concatenate([masks for masks, _ in tables], PROPAGATION)
    out.write_table(PROPAGATION_TABLE, table, PROPAGATION)
    if inputs.tracks is not None:
        out.write_table(OBJECTS_TABLE, concatenate([own for _, own in tables], OBJECTS), OBJECTS)
    between = sum(
        (video.num_frames - len(filling.known(video))) * len(index.expressions_of(name))
        for name, video in index.videos.items()
    )
    counts = {"videos": len(index.videos), "masks": table.num_rows, "interpolated masks": between}
    return Result(counts)


STAGE = Stage("segment", 1, FillConfig, FillInputs, run)
_OBJECTS_UNIT = "objects"


@dataclass(frozen=True)
class _Filling:
    """Fills videos, each of which is a unit.

    Attributes:
        rows: of the propagation table of the known masks, by video and sentence.
        objects: where they are told apart.
    """

    inputs: FillInputs
    out: Workspace
    index: Index
    some: Index
    rows: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]
    objects: _Objects | None

    def known(self, video: Video) -> list[int]:
        """Numbers of the frames with known masks."""
        number = {name: frame for frame, name in enumerate(video.frame_names)}
        return [number[name] for name in self.some.videos[video.video_id].frame_names]

    def fill(self, video: Video, task: Task) -> tuple[pa.Table, pa.Table]:
        """Write the masks of a video; its rows of the propagation and of the objects table."""
        name, key = video.video_id, self._key(video)
        rows = self.out.finished(name, key)
        objects = self.out.finished(f"{name}/{_OBJECTS_UNIT}", key)
        if rows is None or objects is None:
            rows, objects, files = self._write(video, task)
            self.out.finish(f"{name}/{_OBJECTS_UNIT}", key, objects)
            self.out.finish(name, key, rows, files)
        else:
            task.advance(rows.num_rows)
        return rows, objects

    def _write(self, video: Video, task: Task) -> tuple[pa.Table, pa.Table, list[Path]]:
        known = self.known(video)
        parts: list[pa.Table] = []
        objects: list[dict[str, Any]] = []
        files: list[Path] = []
        for expression in self.index.expressions_of(video.video_id):
            if self.objects is None:
                masks = _masks(self.inputs.masks, video, expression, known)
            else:
                masks = self.objects.write(video, expression, known)
            areas, written = _write(self.out, video, expression, masks, task)
            parts.append(_table(video, expression, known, self.rows[expression.key], areas))
            files += written
        if self.objects is not None:
            objects, images = self.objects.take()
            files += images
        return concatenate(parts, PROPAGATION), rows_of(objects, OBJECTS), files

    def _key(self, video: Video) -> str:
        """Digest of everything that a video's masks depend on beside the config."""
        content, names = hashlib.sha256(), self.some.videos[video.video_id].frame_names
        for expression in self.index.expressions_of(video.video_id):
            own = [] if self.objects is None else self.objects.of(expression)
            rows = [list(row.items()) for row in self.rows[expression.key]]
            about = [expression.expression_id, rows, [list(vars(one).items()) for one in own]]
            content.update(repr(about).encode())  # scores may be NaN
            if self.objects is None:
                for frame in names:
                    path = mask_path(self.inputs.masks, *expression.key, frame)
                    content.update(path.read_bytes() if path.is_file() else b"absent")
            else:
                for one in own:
                    content.update(self.objects.digest(one.anno_id).encode())
        size = [video.height, video.width, list(video.frame_names), list(names)]
        told = self.objects is not None
        return text_digest(canonical_json([video.video_id, size, told, content.hexdigest()]))


def _write(
    out: Workspace, video: Video, expression: Expression, masks: Iterable[np.ndarray], task: Task
) -> tuple[np.ndarray, list[Path]]:
    """Write the masks of a sentence; returns the area of each, and the files."""
    areas = np.zeros(video.num_frames, np.int64)
    with ThreadPoolExecutor(1) as writers:
        writer = MaskWriter(out.path, writers)
        for frame, mask in enumerate(masks):
            areas[frame] = mask.sum()
            writer.write(video, expression, frame, mask)
            task.advance()
        writer.wait()
        return areas, list(writer.take_files(expression))


class _Objects:
    """Fills the objects of sentences, each alone, and writes their images if asked to."""

    def __init__(self, config: FillConfig, inputs: FillInputs, out: Workspace):
        assert inputs.tracks is not None
        self._rows: list[dict[str, Any]] = []
        self._files: list[Path] = []
        self._images = config.objects == PALETTE
        self._out = out
        self._tracks = Index.open(inputs.tracks)
        self._objects = read_objects(inputs.masks)

    def of(self, expression: Expression) -> list[NumberedObject]:
        """The objects of a sentence."""
        return self._objects.get(expression.key, [])

    def digest(self, anno_id: str) -> str:
        """Digest of an object's known masks."""
        content = hashlib.sha256()
        for frame, rle in self._tracks.masks.frames_of(anno_id).items():
            content.update(f"{frame}\0{rle['size']}\0".encode() + rle["counts"])
        return content.hexdigest()

    def take(self) -> tuple[list[dict[str, Any]], list[Path]]:
        """Rows of the objects table and images of the sentences written since the last call."""
        taken = self._rows, self._files
        self._rows, self._files = [], []
        return taken

    def write(
        self, video: Video, expression: Expression, known: Sequence[int]
    ) -> Iterator[np.ndarray]:
        """Write what belongs to the objects of a sentence; yields their union, bool (H, W)."""
        own = self.of(expression)
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
        self._rows += [
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
        self._files.append(path)
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

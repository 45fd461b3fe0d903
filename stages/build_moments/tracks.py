"""Writing mask tracks to masks.parquet, sorted by anno id although they are streamed unsorted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pycocotools import mask as coco

from schemas.errors import CorruptInput
from schemas.layouts import MASKS_TABLE
from schemas.tables import MASKS
from stages.core.datasets.consistency import TrackShape, check_missing_tracks, check_track
from stages.core.datasets.faults import strict
from stages.core.engine.progress import Task
from stages.core.engine.workspace import Workspace
from stages.core.media.rle import Rle

# Row groups end after whole tracks, so that a look-up reads little more than its track; only a very
# long track is split.
ROW_GROUP_ROWS = 64
LARGEST_ROW_GROUP = 512


@dataclass
class TrackCounts:
    """Number of tracks and masks written, and of tracks that no expression refers to."""

    tracks: int = 0
    masks: int = 0
    unreferenced: int = 0


def write_masks(
    tracks: Iterable[tuple[str, list[Rle | None]]],
    shapes: Mapping[str, TrackShape],
    out: Workspace,
    *,
    source: Path,
    task: Task,
) -> TrackCounts:
    """Write all tracks in the order of their anno ids.

    Two passes keep memory at one track: the stream goes to an Arrow file, one batch per track, and
    from there in sorted order to Parquet.

    Args:
        shapes: required shape of the track of each referenced anno id.
        source: file or folder of the tracks, for messages.

    Raises:
        CorruptInput: a track does not fit its video, occurs twice, or is missing.
    """
    spill = out.keep / "tracks.arrow"
    counts = TrackCounts()
    batches = _spill(tracks, shapes, spill, source, counts, task)
    check_missing_tracks(shapes, batches, source, strict)
    _write_sorted(spill, batches, out)
    spill.unlink()
    return counts


def _spill(
    tracks: Iterable[tuple[str, list[Rle | None]]],
    shapes: Mapping[str, TrackShape],
    spill: Path,
    source: Path,
    counts: TrackCounts,
    task: Task,
) -> dict[str, int]:
    """Write the stream to an Arrow file; returns the number of each anno id's batch."""
    batches: dict[str, int] = {}
    with pa.OSFile(str(spill), "wb") as sink, pa.ipc.new_file(sink, MASKS.schema) as writer:
        for anno_id, masks in tracks:
            if anno_id in batches:
                raise CorruptInput(f"anno id {anno_id} occurs twice", where=source)
            shape = shapes.get(anno_id)
            if shape is None:
                counts.unreferenced += 1
            else:
                check_track(anno_id, masks, shape, source, strict)
            batch = _batch(anno_id, masks)
            batches[anno_id] = counts.tracks
            writer.write_batch(batch)
            counts.tracks += 1
            counts.masks += batch.num_rows
            task.advance()
    return batches


def _batch(anno_id: str, masks: list[Rle | None]) -> pa.RecordBatch:
    known = [(frame, mask) for frame, mask in enumerate(masks) if mask is not None]
    areas = coco.area([mask for _, mask in known]) if known else []
    visible = [(f, m, int(a)) for (f, m), a in zip(known, np.atleast_1d(areas), strict=True) if a]
    return pa.RecordBatch.from_arrays(
        [
            pa.array([anno_id] * len(visible), pa.string()),
            pa.array([frame for frame, _, _ in visible], pa.int32()),
            pa.array([mask["size"][0] for _, mask, _ in visible], pa.int32()),
            pa.array([mask["size"][1] for _, mask, _ in visible], pa.int32()),
            pa.array([mask["counts"] for _, mask, _ in visible], pa.binary()),
            pa.array([area for _, _, area in visible], pa.int64()),
        ],
        schema=MASKS.schema,
    )


def _write_sorted(spill: Path, batches: Mapping[str, int], out: Workspace) -> None:
    with (
        pa.OSFile(str(spill)) as source,  # a memory map's pages would count as memory used
        out.table_writer(
            MASKS_TABLE,
            MASKS,
            row_group_rows=LARGEST_ROW_GROUP,
            dictionary=["anno_id"],
            statistics=["anno_id"],  # the only ones that a look-up uses
        ) as writer,
    ):
        file = pa.ipc.open_file(source)
        pending: list[pa.RecordBatch] = []
        rows = 0
        for anno_id in sorted(batches):
            batch = file.get_batch(batches[anno_id])
            pending.append(batch)
            rows += batch.num_rows
            if rows >= ROW_GROUP_ROWS:
                writer.write(pa.Table.from_batches(pending))
                pending, rows = [], 0
        if pending:
            writer.write(pa.Table.from_batches(pending))

"""Writing mask tracks to masks.parquet, sorted by anno id although they are streamed unsorted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pycocotools import mask as coco

from schemas.errors import CorruptInput
from schemas.tables import MASKS
from stages.core.datasets.consistency import TrackShape, check_missing_tracks, check_track
from stages.core.datasets.faults import strict
from stages.core.engine.progress import Task
from stages.core.engine.workspace import Workspace
from stages.core.index.mask_table import write_mask_table
from stages.core.media.rle import Rle


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
    with pa.OSFile(str(spill)) as source:  # a memory map's pages would count as memory used
        file = pa.ipc.open_file(source)
        write_mask_table(out, (file.get_batch(batches[anno_id]) for anno_id in sorted(batches)))

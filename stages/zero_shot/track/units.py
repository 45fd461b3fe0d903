"""The finished tracks of one video, with what was left out of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import numpy as np
import pyarrow as pa

from schemas.tables import MASKS, TRACKS, TableSpec


@dataclass
class TrackCounts:
    """Counts of one video, or sums over videos.

    Attributes:
        candidates: rows of the candidates table.
        candidates_without_mask: those from which the tracker draws nothing.
        frames_not_searched: frames with candidates beyond --search-frames.
        unsupported: tracks that too few candidates confirm.
        over_limit: tracks beyond --max-tracks.
        merged: tracks that turned out to be another one.
        without_mask: tracks without a mask on any frame.
        tracks: that are left.
        frames_encoded: frames that the image encoder took, repeats included.
        frames_finished: frames that it took from where tgl ground had left them, repeats included.
    """

    candidates: int = 0
    candidates_without_mask: int = 0
    frames_not_searched: int = 0
    unsupported: int = 0
    over_limit: int = 0
    merged: int = 0
    without_mask: int = 0
    tracks: int = 0
    frames_encoded: int = 0
    frames_finished: int = 0

    def add(self, other: TrackCounts) -> None:
        """Add the counts of another video."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


@dataclass(frozen=True)
class VideoTracks:
    """Tracks of a video.

    Attributes:
        masks: rows of the masks table, sorted by anno id and frame.
        tracks: rows of the tracks table, by anno id.
        counts: of the video.
    """

    masks: pa.Table
    tracks: pa.Table
    counts: TrackCounts

    @classmethod
    def empty(cls) -> VideoTracks:
        """The tracks of a video without candidates."""
        return cls(MASKS.schema.empty_table(), TRACKS.schema.empty_table(), TrackCounts())

    def pack(self) -> pa.Table:
        """One row with everything, as a workspace keeps a unit."""
        columns: dict[str, object] = {name: [n] for name, n in asdict(self.counts).items()}
        for name, table in (("mask rows", self.masks), ("track rows", self.tracks)):
            rows = table.combine_chunks().to_struct_array().combine_chunks()
            columns[name] = pa.ListArray.from_arrays(np.array([0, len(rows)], np.int32), rows)
        return pa.table(columns)

    @classmethod
    def unpack(cls, unit: pa.Table) -> VideoTracks:
        """Undo :meth:`pack`."""
        known = set(unit.column_names)  # units of earlier releases lack the latest counts
        counts = {
            item.name: unit.column(item.name)[0].as_py()
            for item in fields(TrackCounts)
            if item.name in known
        }
        masks, tracks = _rows(unit, "mask rows", MASKS), _rows(unit, "track rows", TRACKS)
        return cls(masks, tracks, TrackCounts(**counts))


def _rows(unit: pa.Table, name: str, spec: TableSpec) -> pa.Table:
    """The rows that a unit keeps in a column of one list."""
    rows = unit.column(name).combine_chunks().flatten()
    return pa.Table.from_arrays(rows.flatten(), schema=spec.schema)

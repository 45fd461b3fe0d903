"""Masks of an index, read at random from masks.parquet without loading the rest.

The table is sorted by (anno_id, frame) in small row groups; a look-up reads only the groups that
can hold the track by the statistics in the footer.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import CorruptInput, SchemaMismatch
from schemas.parquet import open_parquet, validate
from schemas.tables import MASKS
from stages.core.media.rle import Rle, decode
from stages.core.media.spans import Span, merge_spans

_CACHED_TRACKS = 64
_GROUPS_AT_ONCE = 256

Track = dict[int, Rle]


class MaskStore:
    """Masks by (anno_id, frame). Not shared between threads; cheap to open in each worker.

    Args:
        path: of masks.parquet.

    Raises:
        SchemaMismatch: the table is not sorted by anno_id.
    """

    def __init__(self, path: Path):
        self._path = path
        self._file = open_parquet(path, MASKS)
        meta = self._file.metadata
        found = self._file.schema_arrow
        self._typed = all(found.field(column.name).type == column.type for column in MASKS.schema)
        self._groups = [g for g in range(meta.num_row_groups) if meta.row_group(g).num_rows]
        self._firsts, self._lasts = self._group_bounds()
        self._cache: OrderedDict[str, Track] = OrderedDict()

    @property
    def has_rows(self) -> bool:
        """Whether the table has any mask; the index of a test split has none."""
        return bool(self._groups)

    @property
    def num_rows(self) -> int:
        """Number of masks in the table."""
        return int(self._file.metadata.num_rows)

    @property
    def num_groups(self) -> int:
        """Number of row groups that hold masks."""
        return len(self._groups)

    def group(self, number: int) -> pa.Table:
        """All columns of one row group, in the order of the file.

        Raises:
            CorruptInput: it cannot be read.
        """
        return self._read([self._groups[number]], MASKS.schema.names)

    def rle(self, anno_id: str, frame: int) -> Rle | None:
        """The mask of an object in a frame; None if it is not visible or not known."""
        return self.frames_of(anno_id).get(frame)

    def mask(self, anno_id: str, frame: int) -> np.ndarray | None:
        """The decoded mask, uint8 (H, W) of 0 and 1; None as of :meth:`rle`."""
        rle = self.rle(anno_id, frame)
        return None if rle is None else decode(rle, where=f"{self._path} {anno_id} {frame}")

    def frames_of(self, anno_id: str) -> Track:
        """All masks of an object by frame; empty if it has none."""
        if anno_id in self._cache:
            self._cache.move_to_end(anno_id)
            return self._cache[anno_id]
        track = self._read_track(anno_id)
        self._cache[anno_id] = track
        if len(self._cache) > _CACHED_TRACKS:
            self._cache.popitem(last=False)
        return track

    def visible_spans(self) -> dict[str, list[Span]]:
        """Spans of the frames in which each object has pixels; masks themselves are not read.

        Raises:
            CorruptInput: it cannot be read.
        """
        found: dict[str, list[Span]] = {}
        for first in range(0, len(self._groups), _GROUPS_AT_ONCE):
            groups = self._groups[first : first + _GROUPS_AT_ONCE]
            rows = self._read(groups, ["anno_id", "frame", "area"])
            rows = rows.filter(pc.greater(rows.column("area"), 0))
            if not rows.num_rows:
                continue
            ids = rows.column("anno_id").combine_chunks().dictionary_encode()
            frames = rows.column("frame").to_numpy()
            codes = ids.indices.to_numpy()
            names = ids.dictionary.to_pylist()
            # A span ends where the next row is of another object or not of the next frame.
            breaks = (np.diff(codes) != 0) | (np.diff(frames) != 1)
            ends = np.append(np.flatnonzero(breaks), len(codes) - 1)
            starts = np.append(0, ends[:-1] + 1)
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
                span = int(frames[start]), int(frames[end]) + 1
                found.setdefault(names[codes[start]], []).append(span)
        return {anno_id: merge_spans(spans) for anno_id, spans in found.items()}

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _group_bounds(self) -> tuple[list[str], list[str]]:
        meta = self._file.metadata
        column = self._file.schema_arrow.names.index("anno_id")
        firsts: list[str] = []
        lasts: list[str] = []
        for group in self._groups:
            statistics = meta.row_group(group).column(column).statistics
            if not self._typed or statistics is None or not statistics.has_min_max:
                bounds = self._read_bounds(group)
            else:
                bounds = statistics.min, statistics.max
            firsts.append(bounds[0])
            lasts.append(bounds[1])
        if any(a > b for a, b in zip(lasts, firsts[1:], strict=False)):
            raise SchemaMismatch(
                "the masks table is not sorted by anno_id",
                where=self._path,
                hint=f"rebuild it with {MASKS.rebuild}",
            )
        return firsts, lasts

    def _read_bounds(self, group: int) -> tuple[str, str]:
        ids = self._read([group], ["anno_id"]).column("anno_id").to_pylist()
        return min(ids), max(ids)

    def _read_track(self, anno_id: str) -> Track:
        first = bisect_left(self._lasts, anno_id)
        last = bisect_right(self._firsts, anno_id)
        if first >= last:
            return {}
        table = self._read(
            self._groups[first:last], ["anno_id", "frame", "height", "width", "counts"]
        )
        ids = table.column("anno_id").to_pylist()
        low, high = bisect_left(ids, anno_id), bisect_right(ids, anno_id)
        rows = table.slice(low, high - low)
        columns = [rows.column(name).to_pylist() for name in ("frame", "height", "width", "counts")]
        return {
            frame: Rle(size=[height, width], counts=counts)
            for frame, height, width, counts in zip(*columns, strict=True)
        }

    def _read(self, groups: list[int], columns: list[str]) -> pa.Table:
        try:
            # One group of one track: threads would cost more than they save.
            rows = self._file.read_row_groups(groups, columns=columns, use_threads=False)
            rows.validate(full=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise CorruptInput(
                f"cannot be read as Parquet ({str(error).splitlines()[0]})", where=self._path
            ) from error
        # A foreign file may have nulls and other types; look-ups in our own skip the conversion.
        if self._typed and not any(column.null_count for column in rows.columns):
            return rows
        return validate(rows, MASKS, where=self._path, columns=columns, check_key=False)

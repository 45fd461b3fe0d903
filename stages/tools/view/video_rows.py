"""Rows of a table by video, read at random: row groups that cannot hold a video are skipped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import CorruptInput
from schemas.parquet import open_parquet, validate
from schemas.tables import TableSpec
from stages.core.browser.videos import Cache

_KEPT_VIDEOS = 8


class VideoRows:
    """A table sorted by video, of which only a few videos are in memory.

    Args:
        path: of a Parquet file.
        columns: that are read; `video_id` and `expression_id` are among them.

    Raises:
        TglError: it is missing, damaged or another table.
    """

    def __init__(self, path: Path, spec: TableSpec, columns: Sequence[str]):
        self._path = path
        self._spec = spec
        self._columns = list(columns)
        self._file = open_parquet(path, spec)
        self._lock = Lock()
        self._kept: Cache[str, pa.Table] = Cache(_KEPT_VIDEOS)
        self._bounds = self._group_bounds()

    def of(self, video_id: str, expression_id: str) -> pa.Table:
        """The rows of a sentence in the order of the table.

        Raises:
            CorruptInput: they cannot be read.
        """
        with self._lock:
            rows = self._kept.get(video_id, lambda: self._read(video_id))
        return rows.filter(pc.equal(rows["expression_id"], expression_id))

    def _read(self, video_id: str) -> pa.Table:
        groups = [
            number
            for number, bounds in enumerate(self._bounds)
            if bounds is None or bounds[0] <= video_id <= bounds[1]
        ]
        try:
            rows = self._file.read_row_groups(groups, columns=self._columns, use_threads=False)
            rows = rows.filter(pc.equal(rows["video_id"], video_id))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise CorruptInput(
                f"cannot be read as Parquet ({str(error).splitlines()[0]})", where=self._path
            ) from error
        return validate(rows, self._spec, where=self._path, columns=self._columns, check_key=False)

    def _group_bounds(self) -> list[tuple[str, str] | None]:
        """Least and greatest video of each row group, None where they are not known."""
        meta = self._file.metadata
        column = self._file.schema_arrow.names.index("video_id")
        found: list[tuple[str, str] | None] = []
        for group in range(meta.num_row_groups):
            known = meta.row_group(group).column(column).statistics
            usable = known is not None and known.has_min_max and isinstance(known.min, str)
            found.append((known.min, known.max) if usable else None)
        return found

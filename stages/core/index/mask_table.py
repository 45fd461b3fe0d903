"""Writing masks.parquet so that `MaskStore` finds a track without reading the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from schemas.layouts import MASKS_TABLE
from schemas.tables import MASKS
from stages.core.engine.workspace import Workspace

# Row groups end after whole tracks, so that a look-up reads little more than its track; only a very
# long track is split.
ROW_GROUP_ROWS = 64
LARGEST_ROW_GROUP = 512


def write_mask_table(out: Workspace, tracks: Iterable[pa.RecordBatch | pa.Table]) -> int:
    """Write the masks table of an index; returns the number of masks.

    Args:
        out: the index's workspace.
        tracks: rows of one track each, by frame; the tracks in the order of their anno ids.
    """
    masks = 0
    with out.table_writer(
        MASKS_TABLE,
        MASKS,
        row_group_rows=LARGEST_ROW_GROUP,
        dictionary=["anno_id"],
        statistics=["anno_id"],  # the only ones that a look-up uses
    ) as writer:
        for group in _groups(tracks):
            writer.write(group)
            masks += group.num_rows
    return masks


def _groups(tracks: Iterable[pa.RecordBatch | pa.Table]) -> Iterator[pa.Table]:
    """Whole tracks in groups of at least ``ROW_GROUP_ROWS`` rows."""
    pending: list[pa.Table] = []
    rows = 0
    for track in tracks:
        table = pa.Table.from_batches([track]) if isinstance(track, pa.RecordBatch) else track
        pending.append(table)
        rows += table.num_rows
        if rows >= ROW_GROUP_ROWS:
            yield pa.concat_tables(pending)
            pending, rows = [], 0
    if pending:
        yield pa.concat_tables(pending)

"""Writing the moments of an index for another tool."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from schemas.errors import ConfigError, system_errors
from schemas.parquet import read_table
from schemas.tables import MOMENTS
from schemas.vocabulary import BEST_FRAME, UNION
from stages.core.datasets.moment_rows import MomentRow, moment_rows, union_rows
from stages.core.engine.outputs import output_files
from stages.core.index.index import Index
from stages.core.index.table_paths import moments_file
from stages.core.moment_formats.registry import moment_format, written_format
from stages.core.moment_formats.timings import index_context

NOT_SAID = "never true (left out)"
"""The count of rows that a format has no form for."""


def export_moments(
    folder: Path,
    target: Path,
    name: str | None = None,
    *,
    table: Path | None = None,
    videos: Sequence[str] = (),
    union: bool = False,
    fps: float = 0.0,
    force: bool = False,
) -> Mapping[str, int]:
    """Write the moments of an index to `target`; returns counts.

    Most formats cannot say that a sentence is never true of a referent; these are counted.

    Args:
        name: of the format, one of FORMAT_NAMES; None chooses by the suffix of `target`. cvat and
            elan write a folder, one file per video.
        table: other moments of the same data set: a table, or OUT of tgl select-moments or tgl
            annotate.
        videos: only these; none means all.
        union: write the union of an expression's referents, for formats without referents.
        fps: frame rate of videos whose rate the index does not have.
        force: replace files that tgl did not write or that were changed since.

    Raises:
        OutputBlocked: a file is an input or is not as tgl wrote it.
        ConfigError: the suffix does not fit the format, or it cannot store these moments: unknown
            frame rate, single referents, sentences that read the same.
        TglError: as :meth:`Index.open` raises them.
    """
    name = written_format(target, name)
    index = Index.open(folder)
    rows = _chosen_rows(index, moments_file(table or folder), videos)
    rows = _union(rows) if union else rows
    chosen = moment_format(name)
    never = sum(row.is_never for row in rows)
    if not chosen.says_never:
        rows = [row for row in rows if not row.is_never]
    inputs = [folder, *([] if table is None else [table])]
    with system_errors(target), output_files(inputs, force=force) as files:
        chosen.write(target, rows, index_context(index, fps), files.add)
    return {
        "moments": sum(not row.is_never for row in rows),
        "never true" if chosen.says_never else NOT_SAID: never,
        f"{BEST_FRAME}s": sum(row.source == BEST_FRAME for row in rows),
        "videos": len({row.video_id for row in rows}),
        "expressions": len({row.key for row in rows}),
    }


def _chosen_rows(index: Index, table: Path, videos: Sequence[str]) -> list[MomentRow]:
    unknown = sorted(set(videos) - set(index.videos))
    if unknown:
        raise ConfigError(f"the index has no video {unknown[0]}", where="--video")
    rows = moment_rows(read_table(table, MOMENTS))
    return [row for row in rows if not videos or row.video_id in videos]


def _union(rows: Iterable[MomentRow]) -> list[MomentRow]:
    """Merge the spans of each expression's referents into moments of all referents."""
    united = union_rows(rows)
    return [row if row.source == BEST_FRAME else row._replace(source=UNION) for row in united]

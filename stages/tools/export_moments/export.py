"""The moments of an index, written for another tool."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from schemas.errors import ConfigError, system_errors
from schemas.layouts import MOMENTS_TABLE
from schemas.parquet import read_table
from schemas.tables import MOMENTS
from schemas.vocabulary import UNION
from stages.core.datasets.records import RawExpression
from stages.core.engine.outputs import output_files
from stages.core.index.index import Index
from stages.core.moment_formats.context import MomentContext, Row, Timing
from stages.core.moment_formats.registry import FORMATS


def export_moments(
    folder: Path,
    target: Path,
    name: str,
    *,
    table: Path | None = None,
    videos: Sequence[str] = (),
    union: bool = False,
    fps: float = 0.0,
    force: bool = False,
) -> Mapping[str, int]:
    """Write the moments of an index to `target`; returns counts.

    Args:
        name: of the format, a key of FORMATS; cvat and elan write a folder, one file a video.
        table: another moments table of the same data set, such as one of select-moments.
        videos: only these; none means all.
        union: write the union of an expression's referents, for formats that know no referents.
        fps: frames per second of videos whose rate the index does not know.
        force: replace files that tgl did not write or that were changed since.

    Raises:
        OutputBlocked: a file is an input or is not as tgl wrote it.
        ConfigError: the format cannot hold these moments: unknown frame rate, single referents,
            sentences that read the same.
        TglError: as :meth:`Index.open` raises them.
    """
    index = Index.open(folder)
    unknown = sorted(set(videos) - set(index.videos))
    if unknown:
        raise ConfigError(f"the index has no video {unknown[0]}", where="--video")
    context = _context(index, fps)
    rows: list[Row] = read_table(table or folder / MOMENTS_TABLE, MOMENTS).to_pylist()
    chosen = [row for row in rows if not videos or row["video_id"] in videos]
    chosen = _merged(chosen) if union else chosen
    inputs = [folder, *([] if table is None else [table])]
    with system_errors(target), output_files(inputs, force=force) as files:
        FORMATS[name].write(target, chosen, context, files.add)
    return {
        "moments": len(chosen),
        "videos": len({row["video_id"] for row in chosen}),
        "expressions": len({(row["video_id"], row["expression_id"]) for row in chosen}),
    }


def _context(index: Index, fps: float) -> MomentContext:
    timings = {
        video.video_id: Timing(
            video.num_frames, video.fps or fps or None, video.height, video.width
        )
        for video in index.videos.values()
    }
    expressions = tuple(
        RawExpression(e.video_id, e.expression_id, e.text, e.object_ids, e.anno_ids)
        for e in index.expressions
    )
    return MomentContext(expressions, timings)


def _merged(rows: Iterable[Row]) -> list[Row]:
    """The union of all referents' spans of each expression, as moments of all referents."""
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        grouped.setdefault((row["video_id"], row["expression_id"]), []).append(row)
    found: list[Row] = []
    for moments in grouped.values():
        last: Row | None = None
        for row in sorted(moments, key=lambda moment: moment["start_frame"]):
            if last is not None and row["start_frame"] <= last["end_frame"]:
                last["end_frame"] = max(last["end_frame"], row["end_frame"])
            else:
                last = {**row, "anno_id": None, "source": UNION, "score": None}
                found.append(last)
    return found

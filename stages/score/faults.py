"""Faults become one error, or a count beside the score; none is ever lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from schemas.errors import CorruptInput, MissingInput, TglError
from stages.score.cases import Case, Fault, VideoCases
from stages.score.survey import MISSING_FOLDER, MISSING_VIDEO
from stages.score.worker import MISSING_FRAME

_LISTED = 5
_DETAILS = " ("  # what follows the words that all faults of a kind share
_ABSENT = (MISSING_VIDEO, MISSING_FOLDER, MISSING_FRAME)


def fault_error(faults: Sequence[Fault], where: object) -> TglError:
    """The error that names the first five faults and how many there are in all."""
    frames = sum(fault.frames for fault in faults)
    listed = "; ".join(str(fault) for fault in faults[:_LISTED])
    rest = f"; and {len(faults) - _LISTED} more" if len(faults) > _LISTED else ""
    kind = MissingInput if all(fault.kind in _ABSENT for fault in faults) else CorruptInput
    plural = "s" if len(faults) > 1 else ""
    return kind(
        f"{len(faults)} fault{plural} ({frames} frames): {listed}{rest}",
        where=where,
        hint="mend them, or count them as 0 with --missing zero",
    )


def by_kind(kinds: Mapping[str, int]) -> dict[str, int]:
    """Frames by kind of fault, details in brackets left out, most frequent first."""
    totals: dict[str, int] = {}
    for kind, frames in kinds.items():
        short = kind.split(_DETAILS)[0]
        totals[short] = totals.get(short, 0) + frames
    return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))


def frame_faults(videos: Sequence[VideoCases], tables: Mapping[str, pa.Table]) -> list[Fault]:
    """Faults of the frames that were read, in order of the score_frames rows in `tables`."""
    faults = []
    for video in videos:
        table = tables[video.video_id]
        bad = table.filter(table.column("fault").is_valid())
        for row in bad.select(["expression_id", "frame", "fault"]).to_pylist():
            name = video.frame_names[row["frame"]]
            where = f"video {video.video_id}, expression {row['expression_id']}, frame {name}"
            faults.append(Fault(row["fault"], where))
    return faults


def remarks(
    faults: Sequence[Fault], extra: Sequence[str], unscored: Sequence[Case]
) -> Iterator[str]:
    """What is to be said beside a score, a line each: what counts as 0, what is left out."""
    if faults:
        frames = sum(fault.frames for fault in faults)
        kinds = Counter(fault.kind.split(_DETAILS)[0] for fault in faults)
        listed = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common())
        yield f"{frames} frames counted as 0 ({listed}); first: {faults[0]}"
    if extra:
        yield f"{len(extra)} extra files or folders are not scored, first: {extra[0]}"
    if unscored:
        first = "/".join(unscored[0].key)
        yield f"{len(unscored)} expressions have no frame to score, first {first}"

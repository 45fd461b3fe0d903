"""Reporting faults: as one error, or as warnings beside the score; none is dropped."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from schemas.errors import CorruptInput, MissingInput, TglError
from schemas.wording import amount, listing
from stages.score.cases import MISSING_FRAME, Case, ScoringFault, VideoCases
from stages.score.prediction_listing import MISSING_FOLDER, MISSING_VIDEO
from stages.score.truth.mask_folder import subfolders

_LISTED = 5
_DETAILS = " ("  # begins the details after the words that all faults of a kind share
_ABSENT = (MISSING_VIDEO, MISSING_FOLDER, MISSING_FRAME)


def fault_error(faults: Sequence[ScoringFault], where: object) -> TglError:
    """Make the error that lists the first five faults, and how many there are."""
    frames = sum(fault.frames for fault in faults)
    listed = "; ".join(str(fault) for fault in faults[:_LISTED])
    rest = f"; and {len(faults) - _LISTED} more" if len(faults) > _LISTED else ""
    kind = MissingInput if all(fault.kind in _ABSENT for fault in faults) else CorruptInput
    return kind(
        f"{amount(len(faults), 'faults')} ({amount(frames, 'frames')}): {listed}{rest}",
        where=where,
        hint="fix them, or count them as 0 with --missing zero",
    )


def nothing_matches(preds: Path, videos: Sequence[VideoCases]) -> MissingInput | None:
    """Make the error of predictions that match no case, as in a wrong folder; None if any does."""
    folders = [case.folder for video in videos for case in video.cases]
    if any((preds / folder).is_dir() for folder in folders):
        return None
    near = [*subfolders(preds), Path(os.path.normpath(preds / os.pardir))]
    better = next((folder for folder in near if (folder / folders[0]).is_dir()), None)
    layout = "masks belong at VIDEO/EXPRESSION/FRAME.png, named as in the ground truth"
    names = list(dict.fromkeys(video.video_id for video in videos))
    return MissingInput(
        f"nothing here matches the ground truth, which has {listing(names, 'videos')}",
        where=preds,
        hint=layout if better is None else f"did you mean {better}?",
    )


def by_kind(kinds: Mapping[str, int]) -> dict[str, int]:
    """Sum frames by kind of fault without its details, most frequent first."""
    totals: dict[str, int] = {}
    for kind, frames in kinds.items():
        short = kind.split(_DETAILS)[0]
        totals[short] = totals.get(short, 0) + frames
    return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))


def frame_faults(
    videos: Sequence[VideoCases], tables: Mapping[str, pa.Table]
) -> list[ScoringFault]:
    """List the faults of the frames that were read, in the order of their rows in `tables`."""
    faults = []
    for video in videos:
        table = tables[video.video_id]
        bad = table.filter(table.column("fault").is_valid())
        for row in bad.select(["expression_id", "frame", "fault"]).to_pylist():
            name = video.frame_names[row["frame"]]
            where = f"video {video.video_id}, expression {row['expression_id']}, frame {name}"
            faults.append(ScoringFault(row["fault"], where))
    return faults


def remarks(
    faults: Sequence[ScoringFault], extra: Sequence[str], unscored: Sequence[Case]
) -> Iterator[str]:
    """Yield the warnings beside a score, one line each: what counts as 0, what is left out."""
    if faults:
        frames = sum(fault.frames for fault in faults)
        kinds = Counter(fault.kind.split(_DETAILS)[0] for fault in faults)
        listed = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common())
        yield f"{amount(frames, 'frames')} counted as 0 ({listed}); first: {faults[0]}"
    if extra:
        yield f"not scored: {amount(len(extra), 'extra files or folders')}, first: {extra[0]}"
    if unscored:
        first = "/".join(unscored[0].key)
        yield f"no frame to score in {amount(len(unscored), 'expressions')}, first {first}"

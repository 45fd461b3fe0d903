"""Finding names that differ by case alone, which are the same on some file systems."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from schemas.errors import CorruptInput
from stages.core.datasets.faults import Faults
from stages.core.datasets.records import RawVideo
from stages.core.index.index import Expression


def check_names(
    videos: Iterable[RawVideo], expressions: Iterable[Expression], faults: Faults
) -> None:
    """Report names of videos, frames and expressions that differ by case alone."""
    known = list(videos)
    _report((video.video_id for video in known), "videos", "the data set", faults)
    for video in known:
        _report(video.frame_names, "frames", f"video {video.video_id}", faults)
    ids: dict[str, list[str]] = defaultdict(list)
    for expression in expressions:
        ids[expression.video_id].append(expression.expression_id)
    for video_id, names in ids.items():
        _report(names, "expressions", f"video {video_id}", faults)


def _report(names: Iterable[str], what: str, where: str, faults: Faults) -> None:
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(name.casefold(), name)
        if other != name:
            faults(CorruptInput(f"the {what} {other} and {name} differ by case alone", where=where))

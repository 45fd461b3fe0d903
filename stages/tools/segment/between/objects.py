"""Single objects in the frames between those on which they were tracked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from schemas.layouts import OBJECTS_TABLE
from schemas.parquet import read_table
from schemas.tables import OBJECTS
from stages.core.index.index import Index, Video
from stages.tools.segment.between.interpolation import masks_between


@dataclass(frozen=True)
class NumberedObject:
    """An object of a sentence.

    Attributes:
        anno_id: of its track.
        number: of the object in the sentence, from 1 on.
        score: of the judge, if it gave one.
    """

    anno_id: str
    number: int
    score: float | None


def read_objects(masks: Path) -> dict[tuple[str, str], list[NumberedObject]]:
    """The objects of each video and sentence by number, from an artifact of tgl assemble."""
    found: dict[tuple[str, str], list[NumberedObject]] = {}
    for row in read_table(masks / OBJECTS_TABLE, OBJECTS).sort_by("number").to_pylist():
        one = NumberedObject(row["anno_id"], row["number"], row["score"])
        found.setdefault((row["video_id"], row["expression_id"]), []).append(one)
    return found


def object_masks(
    index: Index, anno_id: str, video: Video, known: Sequence[int]
) -> Iterator[np.ndarray]:
    """The mask of a track in each frame of the whole video, bool (H, W).

    Args:
        index: of the tracks, of some of the frames.
        video: with all of its frames.
        known: numbers of the frames that the index has, ascending; the first and the last one of
            the video are among them.
    """

    def read(place: int) -> np.ndarray:
        mask = index.masks.mask(anno_id, place)
        return np.zeros((video.height, video.width), bool) if mask is None else mask > 0

    last = read(0)
    yield last
    for place, (start, end) in enumerate(pairwise(known), start=1):
        first, last = last, read(place)
        yield from masks_between(first, last, end - start)
        yield last

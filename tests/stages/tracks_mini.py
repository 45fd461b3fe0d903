"""An index of tracks beside the miniature of MeViS, as `tgl track` writes one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from schemas.layouts import (
    EXPRESSIONS_TABLE,
    MASKS_TABLE,
    MOMENTS_TABLE,
    TRACKS_TABLE,
    VIDEOS_TABLE,
)
from schemas.parquet import rows_of, write_table
from schemas.tables import EXPRESSIONS, MASKS, MOMENTS, TRACKS
from stages.core.index.index import Index
from stages.core.media.rle import encode

HEIGHT, WIDTH = 12, 16
TRACK_IDS = {"a": ("a.0", "a.1", "a.2", "a.3"), "b": ("b.0",)}


def block(left: int, *, top: int = 3) -> np.ndarray:
    """A 4 x 4 square in a field of 12 x 16."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + 4, left : left + 4] = True
    return mask


TRACK_MASKS: dict[str, dict[int, np.ndarray]] = {
    "a.0": {n: block(n) for n in range(4)},  # the object 7 of the miniature
    "a.1": {n: block(n + 1) for n in (0, 1, 4, 5)},  # the object 8, a pixel beside it
    "a.2": {n: block(11, top=8) for n in range(6)},  # nothing that a sentence means
    "a.3": {},  # never visible
    "b.0": {n: block(n) for n in range(3)},  # the object 9
}
SCORES = {"a.0": 0.5, "a.1": 0.9, "a.2": 0.6, "a.3": 0.9, "b.0": 0.4}
"""Best scores of the candidates; a.3 wins by its score, but shows nothing."""
_QUALITY = {"a.1": 0.5}


def write_tracks(index: Path, out: Path) -> Path:
    """Write tracks for the videos of an index; every sentence may mean every track but a/2."""
    out.mkdir(parents=True)
    opened = Index.open(index)
    shutil.copy(index / VIDEOS_TABLE, out / VIDEOS_TABLE)
    names = {e.key: TRACK_IDS[e.video_id] for e in opened.expressions}
    names["a", "2"] = ("a.2",)
    expressions = [
        {
            "video_id": e.video_id,
            "expression_id": e.expression_id,
            "expression": e.text,
            "object_ids": list(names[e.key]),
            "anno_ids": list(names[e.key]),
        }
        for e in opened.expressions
    ]
    masks = []
    for anno_id, track in sorted(TRACK_MASKS.items()):
        for frame, mask in track.items():
            counts = encode(mask)["counts"]
            size = {"height": HEIGHT, "width": WIDTH}
            area = int(mask.sum())
            row = {"anno_id": anno_id, "frame": frame, **size, "counts": counts, "area": area}
            masks.append(row)
    tracks = [
        {
            "video_id": video,
            "expression_id": name,
            "anno_id": anno_id,
            "score": SCORES[anno_id],
            "candidates": 2,
            "seed_frame": 0,
            "visible_frames": len(TRACK_MASKS[anno_id]),
            "quality": _QUALITY.get(anno_id, 1.0),
        }
        for (video, name), own in names.items()
        for anno_id in own
    ]
    write_table(out / EXPRESSIONS_TABLE, rows_of(expressions, EXPRESSIONS), EXPRESSIONS)
    write_table(out / MOMENTS_TABLE, rows_of([], MOMENTS), MOMENTS)
    write_table(out / MASKS_TABLE, rows_of(masks, MASKS), MASKS)
    write_table(out / TRACKS_TABLE, rows_of(tracks, TRACKS), TRACKS)
    return out

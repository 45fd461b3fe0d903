"""A small index of known figures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from schemas.layouts import EXPRESSIONS_TABLE, MASKS_TABLE, MOMENTS_TABLE, VIDEOS_TABLE
from schemas.parquet import rows_of, write_table
from schemas.tables import EXPRESSIONS, MASKS, MOMENTS, VIDEOS

VIDEO_FRAMES = {"a": (10, 5.0), "b": (20, None)}
"""Frames and frame rate of each video."""
SENTENCES = (
    ("a", "0", "the dog that jumps", ("a_1",)),
    ("a", "1", "two dogs, one after the other", ("a_1", "a_2")),
    ("a", "2", "the man who isn't there", ()),
    ("b", "0", "the dog that jumps", ("b_1",)),
    ("b", "1", "both red cars", ("b_1", "b_2")),
    ("b", "2", "the car", ("b_2",)),
)
SPANS = (
    ("a", "0", "a_1", 2, 6),
    ("a", "1", "a_1", 0, 3),
    ("a", "1", "a_2", 3, 5),
    ("a", "1", "a_2", 7, 10),
    ("b", "0", "b_1", 0, 20),
    ("b", "1", "b_1", 4, 8),
    ("b", "1", "b_1", 8, 10),  # touches the one before
    ("b", "1", "b_2", 9, 14),
)
"""Nothing is known of sentence 2 of video b."""
VISIBLE = {"a_1": range(8), "a_2": (2, 3, 4, 8, 9), "b_1": range(20), "b_2": range(10, 20)}

Row = tuple[str, str, str | None, int, int]


def moment_dicts(rows: Iterable[Row]) -> list[dict[str, object]]:
    """Rows of the moments table."""
    names = ("video_id", "expression_id", "anno_id", "start_frame", "end_frame")
    return [{**dict(zip(names, row, strict=True)), "source": "annotated"} for row in rows]


def write_index(
    folder: Path,
    *,
    spans: Iterable[Row] = SPANS,
    sentences: Iterable[tuple[str, str, str, tuple[str, ...]]] = SENTENCES,
) -> Path:
    """Write the index."""
    folder.mkdir(parents=True)
    videos = [
        {
            "video_id": name,
            "num_frames": frames,
            "height": 4,
            "width": 6,
            "fps": fps,
            "frame_names": [f"{frame:05d}" for frame in range(frames)],
            "frame_suffix": ".jpg",
            "frames_dir": "none",
        }
        for name, (frames, fps) in VIDEO_FRAMES.items()
    ]
    expressions = [
        {
            "video_id": video,
            "expression_id": name,
            "expression": text,
            "object_ids": [anno.split("_")[1] for anno in annos],
            "anno_ids": list(annos),
        }
        for video, name, text, annos in sentences
    ]
    masks = [
        {"anno_id": anno, "frame": frame, "height": 4, "width": 6, "counts": b"x", "area": 1}
        for anno, frames in VISIBLE.items()
        for frame in frames
    ]
    for name, rows, spec in (
        (VIDEOS_TABLE, videos, VIDEOS),
        (EXPRESSIONS_TABLE, expressions, EXPRESSIONS),
        (MOMENTS_TABLE, moment_dicts(spans), MOMENTS),
        (MASKS_TABLE, masks, MASKS),
    ):
        write_table(folder / name, rows_of(rows, spec), spec)
    return folder

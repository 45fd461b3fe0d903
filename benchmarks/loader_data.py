"""A data set for benchmarks/loader.py: JPEGs with moving objects, their masks, and texts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from schemas.layouts import (
    EXPRESSIONS_TABLE,
    MASKS_TABLE,
    MOMENTS_TABLE,
    TEXTS_TABLE,
    VIDEOS_TABLE,
)
from schemas.parquet import rows_of, write_table
from schemas.tables import EXPRESSIONS, MASKS, MOMENTS, TEXTS, VIDEOS
from stages.core.media.rle import encode

OBJECTS = 3
WIDTH = 768  # of RoBERTa-base
QUALITY = 90
Row = dict[str, object]


def make_data(
    root: Path,
    *,
    videos: int,
    frames: int,
    sentences: int = 6,
    words: int = 10,
    side: tuple[int, int] = (1920, 1080),
    files: int | None = None,
) -> Path:
    """Write an index with its frames and texts, unless the folder exists.

    Args:
        words: tokens of a sentence.
        side: width and height of the frames.
        files: number of videos with frames and masks of their own, which the others share.
    """
    if root.exists():
        return root
    making = root.with_name(f".{root.name}.{os.getpid()}")
    index = making / "index"
    index.mkdir(parents=True)
    (making / "text").mkdir()
    own = files or videos
    masks = [row for video in range(own) for row in video_files(index, video, frames, side)]
    names = [f"video{video:05d}" for video in range(videos)]
    rows = [video_row(name, number % own, frames, side) for number, name in enumerate(names)]
    write_table(index / VIDEOS_TABLE, rows_of(rows, VIDEOS), VIDEOS)
    rows = [
        sentence_row(name, number % own, place)
        for number, name in enumerate(names)
        for place in range(sentences)
    ]
    write_table(index / EXPRESSIONS_TABLE, rows_of(rows, EXPRESSIONS), EXPRESSIONS)
    moments = [moment for row in rows for moment in moment_rows(row, frames)]
    write_table(index / MOMENTS_TABLE, rows_of(moments, MOMENTS), MOMENTS)
    write_table(index / MASKS_TABLE, rows_of(sorted(masks, key=_order), MASKS), MASKS)
    texts = [text_row(str(row["expression"]), words) for row in rows]
    write_table(making / "text" / TEXTS_TABLE, rows_of(texts, TEXTS), TEXTS)
    making.replace(root)
    return root


def video_files(index: Path, video: int, frames: int, side: tuple[int, int]) -> Iterator[Row]:
    """Write the frames of a video; yields the rows of its masks.

    The objects cover 2 to 10 % of a frame and have rough outlines, with runs in about twice as many
    places as a smooth ellipse.
    """
    folder = index / "frames" / f"{video}"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(video)
    width, height = side
    across, down = np.meshgrid(np.arange(width) / width, np.arange(height) / height)
    ground = 90 + 60 * np.sin(7 * across + video) * np.cos(5 * down)
    grain = rng.normal(0, 9, (height, width, 3))
    ways = rng.uniform(0.2, 0.8, (OBJECTS, 2, 2))
    radii = rng.uniform(0.09, 0.2, OBJECTS)
    rough = 0.15 * np.sin(190 * across) * np.cos(170 * down)
    for frame in range(frames):
        image = ground[..., None] + grain
        part = frame / max(1, frames - 1)
        for number in range(OBJECTS):
            x, y = ways[number, 0] * (1 - part) + ways[number, 1] * part
            distance = np.hypot(across - x, (down - y) * height / width) / radii[number]
            mask = distance + rough < 1
            image[mask] += np.array([60, -30, 20]) * (number - 1)
            yield {
                "anno_id": f"{video}-{number}",
                "frame": frame,
                "height": height,
                "width": width,
                "counts": encode(mask)["counts"],
                "area": int(mask.sum()),
            }
        shown = Image.fromarray(image.clip(0, 255).astype(np.uint8))
        shown.save(folder / f"{frame:05d}.jpg", quality=QUALITY)


def video_row(name: str, files: int, frames: int, side: tuple[int, int]) -> Row:
    """The row of a video that has the files of another."""
    return {
        "video_id": name,
        "num_frames": frames,
        "height": side[1],
        "width": side[0],
        "fps": None,
        "frame_names": [f"{frame:05d}" for frame in range(frames)],
        "frame_suffix": ".jpg",
        "frames_dir": f"frames/{files}",
    }


def sentence_row(name: str, files: int, place: int) -> Row:
    """A sentence with one to three referents."""
    referents = [f"{files}-{number}" for number in range(1 + place % OBJECTS)]
    return {
        "video_id": name,
        "expression_id": str(place),
        "expression": f"sentence {place} about {name}",
        "object_ids": referents,
        "anno_ids": referents,
    }


def moment_rows(sentence: Row, frames: int) -> Iterator[Row]:
    """One moment of each referent, each a third of the video."""
    for place, referent in enumerate(sentence["anno_ids"]):  # type: ignore[arg-type, var-annotated]
        start = (place + 1) * frames // 6
        yield {
            "video_id": sentence["video_id"],
            "expression_id": sentence["expression_id"],
            "anno_id": referent,
            "start_frame": start,
            "end_frame": start + frames // 3,
            "source": "test",
            "score": None,
        }


def text_row(sentence: str, words: int) -> Row:
    """A sentence with random vectors."""
    rng = np.random.default_rng(len(sentence))
    row: Row = {
        "text_id": sentence,
        "expression": sentence,
        "tokens": [str(word) for word in range(words)],
        "embeddings": rng.normal(size=words * WIDTH).astype(np.float16),
        "dim": WIDTH,
        "pooled": rng.normal(size=WIDTH).astype(np.float16),
        "motion": [False] * words,
        "cut": False,
    }
    return {name: value for name, value in row.items() if name in TEXTS.schema.names}


def _order(row: Row) -> tuple[object, object]:
    return row["anno_id"], row["frame"]

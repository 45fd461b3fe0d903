"""An index in miniature, written table by table: two squares, and a sentence without referents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from schemas.layouts import EXPRESSIONS_TABLE, MASKS_TABLE, MOMENTS_TABLE, VIDEOS_TABLE
from schemas.parquet import rows_of, write_table
from schemas.tables import EXPRESSIONS, MASKS, MOMENTS, VIDEOS
from stages.core.datasets.moment_rows import MomentRow, moments_table
from stages.core.media.rle import encode
from stages.core.media.spans import Span

HEIGHT, WIDTH = 24, 32
SIDE = 8
SCRIPT = "<script>alert(1)</script><b>\u202enone\u2028of them</b>"
"""A sentence that must stay text."""
SENTENCES = {"0": ("the left square", (0,)), "1": ("both squares", (0, 1)), "2": (SCRIPT, ())}
LENGTHS = {"a": 8, "b": 6}

Marks = Mapping[tuple[str, str, str | None], list[Span]]


def visible(thing: int, frames: int) -> Span:
    """The frames that show one of the two squares."""
    return (1, frames - 1) if thing == 0 else (0, frames)


def mask_of(thing: int) -> np.ndarray:
    """The mask of a square, bool (H, W), the same in every frame."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[4 : 4 + SIDE, 2 + 16 * thing : 2 + 16 * thing + SIDE] = True
    return mask


def write_index(
    folder: Path,
    lengths: Mapping[str, int] = LENGTHS,
    *,
    sentences: Mapping[str, tuple[str, tuple[int, ...]]] = SENTENCES,
    moments: Marks | None = None,
    masks: bool = True,
) -> Path:
    """Write an index of videos of so many frames beside the folder of their frames.

    Args:
        sentences: text and squares by expression id, in every video.
        moments: spans by video, expression and anno id.
    """
    frames = folder.with_name(f"{folder.name}-frames")
    folder.mkdir(parents=True)
    videos, expressions, rows = [], [], []
    for video, length in lengths.items():
        names = [f"{number:05d}" for number in range(length)]
        write_frames(frames / video, names)
        videos.append(_video(video, names, f"../{frames.name}/{video}"))
        for key, (text, things) in sentences.items():
            annos = [f"{video}_{thing}" for thing in things]
            expressions.append(
                {
                    "video_id": video,
                    "expression_id": key,
                    "expression": text,
                    "object_ids": annos,
                    "anno_ids": annos,
                }
            )
        for thing in (0, 1) if masks else ():
            rows += _masks(f"{video}_{thing}", thing, length)
    found = [MomentRow(*key, *span) for key, spans in (moments or {}).items() for span in spans]
    write_table(folder / VIDEOS_TABLE, rows_of(videos, VIDEOS), VIDEOS)
    write_table(folder / EXPRESSIONS_TABLE, rows_of(expressions, EXPRESSIONS), EXPRESSIONS)
    write_table(folder / MOMENTS_TABLE, moments_table(found), MOMENTS)
    rows.sort(key=lambda row: (row["anno_id"], row["frame"]))
    write_table(folder / MASKS_TABLE, rows_of(rows, MASKS), MASKS)
    return folder


def write_frames(folder: Path, names: list[str]) -> None:
    """Write a frame of its own grey for each name."""
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        pixels = np.full((HEIGHT, WIDTH, 3), 5 * number, np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.jpg")


def _video(video: str, names: list[str], folder: str) -> dict[str, object]:
    return {
        "video_id": video,
        "num_frames": len(names),
        "height": HEIGHT,
        "width": WIDTH,
        "fps": 6.0,
        "frame_names": names,
        "frame_suffix": ".jpg",
        "frames_dir": folder,
    }


def _masks(anno_id: str, thing: int, length: int) -> list[dict[str, object]]:
    mask = mask_of(thing)
    counts, area = encode(mask)["counts"], int(mask.sum())
    row = {"anno_id": anno_id, "height": HEIGHT, "width": WIDTH, "counts": counts, "area": area}
    return [{**row, "frame": frame} for frame in range(*visible(thing, length))]

"""Indexes for tests of the page: every frame shows its own number, readable from its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from schemas.parquet import rows_of, write_table
from schemas.tables import EXPRESSIONS, MASKS, MOMENTS, VIDEOS
from stages.core.media.rle import encode
from stages.core.media.spans import Span

BITS = 12
"""Of a frame's number, drawn as dark and bright blocks along the upper edge, the lowest first."""
_BRIGHT = 230


@dataclass(frozen=True)
class Clip:
    """A video of numbered frames, in which object k moves to the right in row k.

    Attributes:
        visible: spans of each object's masks.
    """

    name: str
    frames: int
    visible: tuple[Span, ...]
    size: tuple[int, int] = (96, 160)
    fps: float | None = 8.0


@dataclass(frozen=True)
class Line:
    """A sentence about some objects of a clip, and its moments as (object or None, start, end)."""

    clip: str
    text: str
    objects: tuple[int, ...]
    moments: tuple[tuple[int | None, int, int], ...] = field(default=())


def write_index(folder: Path, clips: Sequence[Clip], lines: Sequence[Line]) -> Path:
    """Write an index with its frames; returns the folder."""
    folder.mkdir(parents=True)
    for clip in clips:
        _write_frames(folder, clip)
    numbers = {clip.name: str(n) for n, clip in enumerate(clips)}
    ids: dict[str, int] = {}
    expressions, moments = [], []
    for line in lines:
        ids[line.clip] = ids.get(line.clip, -1) + 1
        key = {"video_id": line.clip, "expression_id": str(ids[line.clip])}
        annos = [_anno(numbers[line.clip], k) for k in line.objects]
        expressions.append(
            {**key, "expression": line.text, "object_ids": [*map(str, line.objects)]}
            | {"anno_ids": annos}
        )
        for k, start, end in line.moments:
            anno = None if k is None else _anno(numbers[line.clip], k)
            span = {"anno_id": anno, "start_frame": start, "end_frame": end}
            moments.append({**key, **span, "source": "annotated"})
    masks = [row for clip in clips for row in _masks(clip, numbers[clip.name])]
    tables = ((VIDEOS, [*map(_video, clips)]), (EXPRESSIONS, expressions), (MOMENTS, moments))
    for spec, rows in (*tables, (MASKS, masks)):
        write_table(folder / f"{spec.name}.parquet", rows_of(rows, spec), spec)
    return folder


def object_mask(clip: Clip, k: int, frame: int) -> np.ndarray:
    """Mask of object k, bool (H, W): a square that moves to the right."""
    height, width = clip.size
    side = height // 6
    x = round((width - side) * frame / max(1, clip.frames - 1))
    y = height // 4 + k * (side + 4)
    mask = np.zeros(clip.size, bool)
    mask[y : y + side, x : x + side] = True
    return mask


def _anno(number: str, k: int) -> str:
    return f"{number}_{k}"


def _video(clip: Clip) -> dict[str, object]:
    height, width = clip.size
    return {
        "video_id": clip.name,
        "num_frames": clip.frames,
        "height": height,
        "width": width,
        "fps": clip.fps,
        "frame_names": [f"{t:05d}" for t in range(clip.frames)],
        "frame_suffix": ".jpg",
        "frames_dir": f"frames/{clip.name}",
    }


def _write_frames(folder: Path, clip: Clip) -> None:
    target = folder / "frames" / clip.name
    target.mkdir(parents=True)
    height, width = clip.size
    ground = np.tile(np.linspace(40, 120, width), (height, 1)).astype(np.uint8)
    for frame in range(clip.frames):
        image = np.stack([ground] * 3, axis=2)
        for k, (start, end) in enumerate(clip.visible):
            if start <= frame < end:
                image[object_mask(clip, k, frame)] = (230, 120 + 40 * k, 60)
        for bit in range(BITS):
            block = slice(bit * width // BITS, (bit + 1) * width // BITS)
            image[: height // 8, block] = _BRIGHT * (frame >> bit & 1)
        Image.fromarray(image).save(target / f"{frame:05d}.jpg", quality=85)


def _masks(clip: Clip, number: str) -> list[dict[str, object]]:
    rows = []
    for k, (start, end) in enumerate(clip.visible):
        for frame in range(start, end):
            mask = object_mask(clip, k, frame)
            size = {"height": clip.size[0], "width": clip.size[1], "area": int(mask.sum())}
            key = {"anno_id": _anno(number, k), "frame": frame}
            rows.append({**key, **size, "counts": encode(mask)["counts"]})
    return rows

"""Masks as palette PNGs: one image per frame, whose pixels are object numbers."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from schemas.errors import CorruptInput, TglError
from schemas.files import read_regular
from stages.core.datasets.faults import Faults
from stages.core.datasets.records import RawTrack, RawVideo
from stages.core.engine.runtime import Runtime
from stages.core.engine.workers.pool import map_jobs
from stages.core.media.frames import MAX_PIXELS
from stages.core.media.png_checks import checked_png
from stages.core.media.rle import Rle

ANNOTATIONS_FOLDER = "Annotations"
VOID = 255
"""Number of pixels that DAVIS assigns to no object."""
MOST_OBJECTS = 255
"""Numbers that a palette PNG has for objects."""
_SUFFIX = ".png"
_VALUES = 256
_BITS = 8
_INDEX_MODES = ("P", "L", "1")


@dataclass(frozen=True)
class PaletteJob:
    """Folder of the masks of one video."""

    folder: Path
    video: RawVideo
    void: int | None


def palette_tracks(
    root: Path,
    videos: Iterable[RawVideo],
    runtime: Runtime,
    faults: Faults,
    *,
    void: int | None = VOID,
) -> Iterator[RawTrack]:
    """Stream the tracks of all objects in the PNGs below `root`; videos are read in parallel.

    Args:
        root: folder with one folder of PNGs per video; a video without one has no masks.
        void: number of pixels that belong to no object, besides 0.
    """
    jobs = [
        PaletteJob(root / video.video_id, video, void)
        for video in videos
        if (root / video.video_id).is_dir()
    ]
    local = Runtime(workers=runtime.workers, device=runtime.device)
    for _, tracks in map_jobs(read_palettes, jobs, runtime=local):
        if isinstance(tracks, TglError):
            faults(tracks)
        else:
            yield from tracks.items()


def track_id(video_id: str, number: int | str) -> str:
    """Make the anno id of an object that has a number within its video."""
    return f"{video_id}_{number}"


def read_palettes(job: PaletteJob) -> Mapping[str, list[Rle | None]]:
    """Read the tracks of one video by anno id; a frame without a PNG has no mask.

    Raises:
        CorruptInput: a PNG is damaged or has colours instead of object numbers.
    """
    tracks: dict[str, list[Rle | None]] = {}
    frames = len(job.video.frame_names)
    for frame, name in enumerate(job.video.frame_names):
        path = job.folder / f"{name}{_SUFFIX}"
        if not os.path.lexists(path):
            continue
        values = read_numbers(path)
        for number in np.flatnonzero(np.bincount(values.ravel(), minlength=_VALUES)).tolist():
            if number in (0, job.void):
                continue
            packed = coco.encode(np.asfortranarray(values == number))
            rle = Rle(size=[int(n) for n in packed["size"]], counts=packed["counts"])
            anno_id = track_id(job.video.video_id, number)
            tracks.setdefault(anno_id, [None] * frames)[frame] = rle
    return tracks


def read_numbers(path: Path) -> np.ndarray:
    """Read a palette or grey PNG as object numbers, uint8 (H, W).

    Raises:
        CorruptInput: damaged, huge, or a colour image.
    """
    content = read_regular(path)
    try:
        with Image.open(io.BytesIO(checked_png(content, where=path))) as image:
            if image.mode not in _INDEX_MODES:
                raise CorruptInput(
                    f"has {image.mode} colours, one object number per pixel is needed", where=path
                )
            if image.width * image.height > MAX_PIXELS:
                raise CorruptInput("has too many pixels", where=path)
            return np.asarray(image).astype(np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CorruptInput(f"cannot be decoded ({error})", where=path) from error


def count_unmasked(root: Path, videos: Iterable[RawVideo]) -> int:
    """Count frames without a PNG in videos that have some: their masks are unknown."""
    total = 0
    for video in videos:
        folder = root / video.video_id
        if folder.is_dir():
            present = {path.stem for path in folder.iterdir()}
            total += len(set(video.frame_names) - present)
    return total


def palette_png(masks: Sequence[tuple[int, np.ndarray]], size: tuple[int, int]) -> bytes:
    """Encode objects as one palette PNG, in which a pixel's value is the number of its object.

    Args:
        masks: number (1 to 255) and mask, bool (H, W), of each object; where objects overlap, a
            later one covers an earlier one.
        size: (H, W).
    """
    numbers = np.zeros(size, np.uint8)
    for number, mask in masks:
        numbers[mask] = number
    image = Image.fromarray(numbers, mode="P")
    image.putpalette(list(_palette()))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=False, compress_level=1)
    return file.getvalue()


@cache
def _palette() -> bytes:
    """Colours of PASCAL VOC's palette: bit k of a number goes to channel k % 3, high bits first."""
    colours = bytearray()
    for number in range(_VALUES):
        for channel in range(3):
            value = 0
            for step in range(_BITS):
                value |= (number >> (3 * step + channel) & 1) << (_BITS - 1 - step)
            colours.append(value)
    return bytes(colours)

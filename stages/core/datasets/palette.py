"""Masks as palette PNGs: one picture a frame, the pixel's value is the object's number."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from schemas.errors import CorruptInput, TglError
from schemas.files import read_regular
from stages.core.datasets.faults import Faults
from stages.core.datasets.records import RawTrack, RawVideo
from stages.core.engine.pool import map_jobs
from stages.core.engine.runtime import Runtime
from stages.core.media.frames import MAX_PIXELS
from stages.core.media.mask_png import sound_png
from stages.core.media.rle import Rle

VOID = 255
"""DAVIS marks with it what belongs to no object."""
_SUFFIX = ".png"
_VALUES = 256
_INDEX_MODES = ("P", "L", "1")


@dataclass(frozen=True)
class PaletteJob:
    """One video's folder of masks."""

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
    """The tracks of all objects that the PNGs below `root` show, videos side by side.

    Args:
        root: holds a folder of PNGs for each video; a video without one has no masks.
        void: the number that marks no object beside 0.
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
    """The anno id of an object that a data set numbers within its video."""
    return f"{video_id}_{number}"


def read_palettes(job: PaletteJob) -> Mapping[str, list[Rle | None]]:
    """Tracks of one video by anno id; a frame without a PNG has no mask.

    Raises:
        CorruptInput: a PNG is damaged or holds colours in place of object numbers.
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
    """A palette or grey PNG as object numbers, uint8 (H, W).

    Raises:
        CorruptInput: damaged, huge, or a colour picture.
    """
    content = read_regular(path)
    try:
        with Image.open(io.BytesIO(sound_png(content, where=path))) as image:
            if image.mode not in _INDEX_MODES:
                raise CorruptInput(
                    f"holds {image.mode} colours, an object number a pixel is needed", where=path
                )
            if image.width * image.height > MAX_PIXELS:
                raise CorruptInput("has too many pixels", where=path)
            return np.asarray(image).astype(np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CorruptInput(f"cannot be decoded ({error})", where=path) from error


def count_unmasked(root: Path, videos: Iterable[RawVideo]) -> int:
    """Frames without a PNG in videos that have some: their masks are unknown."""
    total = 0
    for video in videos:
        folder = root / video.video_id
        if folder.is_dir():
            present = {path.stem for path in folder.iterdir()}
            total += len(set(video.frame_names) - present)
    return total

"""Decoding images, and comparing their sizes within a video."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import CorruptInput, TglError
from stages.core.datasets.faults import Faults
from stages.core.datasets.video_frames import VideoFrames
from stages.core.engine.progress import Task
from stages.core.engine.runtime import Runtime
from stages.core.engine.workers.pool import map_jobs
from stages.core.media.frames import read_frame


@dataclass(frozen=True)
class VideoImages:
    """Images of a video, and the size that they should have."""

    video_id: str
    paths: tuple[Path, ...]
    height: int
    width: int


def images_of(video_id: str, found: VideoFrames) -> VideoImages:
    """Return the frames of a data set's video."""
    paths = tuple(found.folder / f"{name}{found.suffix}" for name in found.frame_names)
    return VideoImages(video_id, paths, found.height, found.width)


def check_images(
    videos: Iterable[VideoImages], runtime: Runtime, faults: Faults, task: Task
) -> int:
    """Decode every image, videos in parallel; returns how many could be decoded."""
    sound = 0
    for job, found in map_jobs(faults_of_images, videos, runtime=runtime):
        errors = [found] if isinstance(found, TglError) else found
        for error in errors:
            faults(error)
        sound += len(job.paths) - len(errors)
        task.advance(len(job.paths))
    return sound


def faults_of_images(job: VideoImages) -> list[TglError]:
    """Return a fault for each image of a video that cannot be decoded or has another size."""
    found: list[TglError] = []
    for path in job.paths:
        try:
            height, width = read_frame(path).shape[:2]
        except TglError as error:
            found.append(error)
            continue
        if (height, width) != (job.height, job.width):
            found.append(
                CorruptInput(f"is {width}x{height}, the video {job.width}x{job.height}", where=path)
            )
    return found

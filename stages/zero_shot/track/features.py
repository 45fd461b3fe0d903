"""The features that tgl ground kept beside the candidates, where they are the tracker's own.

They save the image transformer's work and do not change the tracks: the stage's fingerprint leaves
them out, as it leaves out how many frames are encoded at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.wording import amount
from stages.core.engine.progress import Progress
from stages.core.index.frame_files import frames_digest
from stages.core.index.kept_features import KeptFeatures, KeptVideo

if TYPE_CHECKING:
    from stages.zero_shot.track.video import TrackJob


def with_features(
    jobs: Sequence[TrackJob], folder: Path, weights: str, progress: Progress
) -> list[TrackJob]:
    """Give each job the features that fit it; warns once for each reason why some do not.

    Args:
        jobs: all of one backbone, size and precision.
        folder: of the candidates table.
        weights: digest of the backbone's folder.

    Raises:
        CorruptInput: the note beside the features is damaged.
    """
    used = [job for job in jobs if job.candidates.num_rows]
    kept = KeptFeatures.read(folder) if used else None
    if kept is None:
        return list(jobs)
    if kept.weights != weights:
        progress.warn("the features beside the candidates are not used: they are of other weights")
        return list(jobs)
    size = _image_size(used[0])
    others: Counter[str] = Counter()
    ready = []
    for job in jobs:
        features = kept.videos.get(job.video.video_id) if job.candidates.num_rows else None
        other = None if features is None else _difference(job, features, size)
        if other is not None:
            others[other] += 1
        fits = features is not None and other is None
        ready.append(replace(job, features=folder) if fits else job)
    for other, videos in others.items():
        progress.warn(f"features of {amount(videos, 'videos')} are not used: they are of {other}")
    return ready


def _difference(job: TrackJob, features: KeptVideo, size: int) -> str | None:
    """What the features of a video are of instead of what the tracker needs; None if they fit."""
    if features.image_size != size:
        return f"another image size ({features.image_size} pixels, not {size})"
    if features.precision != job.precision:
        return f"another precision ({features.precision}, not {job.precision})"
    return None if features.frames == frames_digest(job.video) else "other frames"


def _image_size(job: TrackJob) -> int:
    """Side in pixels that the tracker resizes frames to."""
    from stages.core.model.backbones.families import own_image_size

    return job.config.image_size or own_image_size(job.backbone)

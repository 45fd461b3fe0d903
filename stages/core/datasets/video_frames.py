"""Finding the frames of each video: folder, size and frame rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from schemas.errors import CorruptInput, MissingInput, TglError
from schemas.layouts import FRAMES_TABLE, video_name
from schemas.parquet import read_table
from schemas.tables import FRAMES
from stages.core.datasets.faults import Faults, strict
from stages.core.datasets.frame_times import RATE_TOLERANCE_SECONDS, varying_times
from stages.core.datasets.records import Dataset, RawVideo
from stages.core.media.frames import FRAME_SUFFIXES, frame_size


@dataclass(frozen=True)
class VideoFrames:
    """The frames of a video on disk.

    Attributes:
        fps: None if it is unknown or varies.
        times: seconds of each frame, then of the end, if the rate varies.
    """

    folder: Path
    frame_names: tuple[str, ...]
    suffix: str
    height: int
    width: int
    fps: float | None
    times: tuple[float, ...] | None = None


def find_frames(
    dataset: Dataset, frames: Path | None, faults: Faults = strict
) -> dict[str, VideoFrames]:
    """Find the frames of every video of the data set.

    Args:
        frames: an artifact of extract-frames, or None for the data set's own frames; images are
            looked for in the data set's `frames_dir`.
        faults: receives an UnsafeName if a video's id cannot name a folder in every artifact, a
            MissingInput if a video or a frame is missing, a CorruptInput if the artifact has other
            frames than the data set lists.
    """
    if dataset.images:
        return _find_images(dataset, faults)
    rows = None if frames is None else _rows_by_video(frames)
    found = {}
    for video in dataset.videos():
        try:
            video_name(video.video_id, where=dataset.frames_dir)
            if frames is None or rows is None:
                found[video.video_id] = _in_folder(dataset.frames_dir / video.video_id, video)
            else:
                found[video.video_id] = _from_rows(video, rows.get(video.video_id), frames)
        except TglError as error:
            faults(error)
    return found


def _find_images(dataset: Dataset, faults: Faults) -> dict[str, VideoFrames]:
    """Find images that are videos of one frame; those that are missing make one fault."""
    folder, videos = dataset.frames_dir, dataset.videos()
    hint = "name the folder of the images with --frames"
    if not folder.is_dir():
        faults(MissingInput("no such folder of images", where=folder, hint=hint))
        return {}
    present = {path.name for path in folder.iterdir()}
    found, missing = {}, []
    for video in videos:
        name = video.frame_names[0]
        suffix = next((s for s in FRAME_SUFFIXES if f"{name}{s}" in present), None)
        if suffix is None:
            missing.append(name)
            continue
        try:
            video_name(video.video_id, where=folder)
            height, width = frame_size(folder / f"{name}{suffix}")
        except TglError as error:
            faults(error)
            continue
        found[video.video_id] = VideoFrames(folder, video.frame_names, suffix, height, width, None)
    if missing:
        what = f"{len(missing):,} of {len(videos):,} images are missing"
        first = f"{missing[0]}{FRAME_SUFFIXES[0]}"
        faults(MissingInput(f"{what}, first {first}", where=folder, hint=hint))
    return found


def no_frames(video_id: str, folder: Path) -> MissingInput:
    """Make the error of a video whose folder of frames is missing."""
    return MissingInput(
        f"video {video_id} has no folder of frames",
        where=folder,
        hint="extract it with tgl extract-frames and name the result with --frames",
    )


def _in_folder(folder: Path, video: RawVideo) -> VideoFrames:
    if not folder.is_dir():
        raise no_frames(video.video_id, folder)
    present = {path.name for path in folder.iterdir()}
    suffix = next(
        (s for s in FRAME_SUFFIXES if f"{video.frame_names[0]}{s}" in present), FRAME_SUFFIXES[0]
    )
    missing = [name for name in video.frame_names if f"{name}{suffix}" not in present]
    if missing:
        raise MissingInput(
            f"{len(missing)} of {len(video.frame_names)} frames of video {video.video_id} are "
            f"missing, first {missing[0]}{suffix}",
            where=folder,
        )
    height, width = frame_size(folder / f"{video.frame_names[0]}{suffix}")
    return VideoFrames(folder, video.frame_names, suffix, height, width, None)


def _rows_by_video(frames: Path) -> dict[str, list[dict[str, object]]]:
    columns = ["video_id", "frame", "name", "path", "pts_seconds", "width", "height"]
    table = read_table(frames / FRAMES_TABLE, FRAMES, columns=columns)
    rows: dict[str, list[dict[str, object]]] = {}
    for row in table.to_pylist():
        rows.setdefault(row["video_id"], []).append(row)
    return rows


def _from_rows(video: RawVideo, rows: list[dict[str, object]] | None, frames: Path) -> VideoFrames:
    if not rows:
        raise MissingInput(f"video {video.video_id} was not extracted", where=frames / FRAMES_TABLE)
    rows = sorted(rows, key=lambda row: row["frame"])  # type: ignore[arg-type,return-value]
    names = tuple(str(row["name"]) for row in rows)
    if names != video.frame_names:
        raise CorruptInput(
            f"video {video.video_id} has {len(names)} extracted frames ({names[0]} to "
            f"{names[-1]}), the data set lists {len(video.frame_names)} ({video.frame_names[0]} "
            f"to {video.frame_names[-1]})",
            where=frames / FRAMES_TABLE,
            hint="extract with the stride and frame names of the data set",
        )
    for row in rows:
        if not (frames / str(row["path"])).is_file():
            raise MissingInput(
                f"frame {row['name']} of video {video.video_id} is listed but missing",
                where=frames / str(row["path"]),
                hint="rerun tgl extract-frames, which restores missing frames",
            )
    first = Path(str(rows[0]["path"]))
    stamps: list[float | None] = [row["pts_seconds"] for row in rows]  # type: ignore[misc]
    fps = frame_rate(stamps)
    return VideoFrames(
        folder=frames / first.parent,
        frame_names=names,
        suffix=first.suffix,
        height=int(str(rows[0]["height"])),
        width=int(str(rows[0]["width"])),
        fps=fps,
        times=varying_times(stamps) if fps is None else None,
    )


def frame_rate(seconds: Sequence[float | None]) -> float | None:
    """Return the constant rate of time stamps per second; None if it varies or is unknown."""
    if len(seconds) < 2 or any(second is None for second in seconds):
        return None
    times = np.array(seconds, dtype=np.float64)
    step = (times[-1] - times[0]) / (len(times) - 1)
    if step <= 0:
        return None
    even = times[0] + step * np.arange(len(times))
    if np.abs(times - even).max() > RATE_TOLERANCE_SECONDS:
        return None
    return round(float(1 / step), 6)

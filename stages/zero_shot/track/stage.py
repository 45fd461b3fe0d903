"""The stage track: each video is a unit; the artifact is an index of tracks."""

from __future__ import annotations

import pyarrow as pa

from schemas.errors import LostWorker, TglError
from schemas.receipts import canonical_json
from schemas.wording import amount, listing
from stages.core.engine.digest import text_digest, weights_digest
from stages.core.engine.failures import failure_lines, nothing_done
from stages.core.engine.progress import Progress, counted
from stages.core.engine.runtime import Runtime
from stages.core.engine.stage import Result, Stage
from stages.core.engine.workers.devices import map_on_devices, threads_per_device
from stages.core.engine.workspace import Workspace
from stages.core.index.candidates import read_candidates
from stages.core.index.frame_files import frames_digest
from stages.core.index.index import Index, Video
from stages.zero_shot.track.config import TrackConfig, TrackInputs
from stages.zero_shot.track.features import with_features
from stages.zero_shot.track.index_tables import WrittenIndex, write_index
from stages.zero_shot.track.steps import likely_steps
from stages.zero_shot.track.units import VideoTracks
from stages.zero_shot.track.video import TrackJob, VideoFailure, track_video


def run(
    config: TrackConfig,
    inputs: TrackInputs,
    out: Workspace,
    *,
    runtime: Runtime,
    progress: Progress,
) -> Result:
    """Write an index of tracks; see :func:`stages.core.engine.execute.execute`."""
    index = Index.open(inputs.index)
    units = _Units(index, config, inputs, out, runtime)
    failures: dict[str, TglError] = {}
    waiting = units.waiting()
    if any(job.candidates.num_rows for job in waiting):
        index.require_frames()
    waiting = with_features(waiting, inputs.candidates.parent, units.weights, progress)
    with progress.task("track", sum(map(_steps, waiting)), "step") as task:
        results = map_on_devices(
            track_video, waiting, runtime=runtime, progress=progress, task=task, units=_steps
        )
        for job, found in counted(results, len(waiting), task):
            if isinstance(found, LostWorker):
                found = VideoFailure(found)
            if isinstance(found, TglError):
                raise found  # of the backbone, so the same for every video
            if isinstance(found, VideoFailure):
                failures[job.video.video_id] = found.error
            else:
                units.finish(job.video, found)
    if failures and len(failures) == len(units.jobs):
        raise nothing_done(failures, "video")
    done = [job.video for job in units.jobs if job.video.video_id not in failures]
    written = write_index(index, done, units.take, out)
    _tell(written, config, progress)
    counts = _counts(written) | {"videos failed": len(failures)} | units.dropped
    lines = failure_lines(failures)
    return Result(counts, lines, {"videos kept from before": len(units.jobs) - len(waiting)})


STAGE = Stage(
    "track",
    1,
    TrackConfig,
    TrackInputs,
    run,
    memory_hint="lower --feature-memory or --max-tracks",
    network=True,
)


def _counts(written: WrittenIndex) -> dict[str, int | float]:
    """The counts of an index by name, for the summary and the receipt."""
    sums = written.counts
    return {
        "videos": written.videos,
        "expressions": written.expressions,
        "candidates": sums.candidates,
        "tracks": sums.tracks,
        "masks": written.masks,
        "videos without tracks": len(written.bare_videos),
        "expressions without tracks": written.bare_expressions,
        "tracks merged": sums.merged,
        "tracks dropped (few candidates)": sums.unsupported,
        "tracks dropped (--max-tracks)": sums.over_limit,
        "tracks dropped (no mask)": sums.without_mask,
        "candidates without a mask": sums.candidates_without_mask,
        "frames not searched": sums.frames_not_searched,
        "frames encoded": sums.frames_encoded,
        "frames encoded by ground": sums.frames_finished,
    }


def _tell(written: WrittenIndex, config: TrackConfig, progress: Progress) -> None:
    """Warn of videos without tracks, and of tracks and frames beyond the limits."""
    if written.bare_videos:
        progress.warn(f"no tracks in {listing(written.bare_videos, 'videos')}")
    sums = written.counts
    if sums.over_limit:
        progress.warn(
            f"{amount(sums.over_limit, 'tracks')} left out: --max-tracks is {config.max_tracks}"
        )
    if sums.frames_not_searched:
        progress.warn(
            f"candidates of {amount(sums.frames_not_searched, 'frames')} not used: "
            f"--search-frames is {config.search_frames}"
        )


class _Units:
    """One job per video, and the videos that are finished.

    Attributes:
        jobs: in the order of the index; videos without candidates too.
        weights: digest of the backbone's folder.
        dropped: number of candidates that cannot be used, by reason.
    """

    def __init__(
        self,
        index: Index,
        config: TrackConfig,
        inputs: TrackInputs,
        out: Workspace,
        runtime: Runtime,
    ):
        self._out = out
        found = read_candidates(inputs.candidates, index)
        rows = _rows_by_video(found.table)
        empty = found.table.slice(0, 0)
        self.weights = weights_digest(inputs.backbone)
        self.jobs = [
            TrackJob(
                video,
                rows.get(video.video_id, empty),
                config,
                inputs.backbone,
                runtime.precision,
                threads_per_device(runtime),
                weights=self.weights,
            )
            for video in index.videos.values()
        ]
        self.dropped = {"boxes dropped (no area in the frame)": found.dropped}
        self._keys = {job.video.video_id: _key(job, self.weights) for job in self.jobs}

    def waiting(self) -> list[TrackJob]:
        """Videos that are not finished, the longest first."""
        missing = [job for job in self.jobs if self._find(job.video) is None]
        return sorted(missing, key=lambda job: job.video.num_frames, reverse=True)

    def finish(self, video: Video, found: VideoTracks) -> None:
        """Keep the tracks of a video."""
        self._out.finish(video.video_id, self._keys[video.video_id], found.pack())

    def take(self, video: Video) -> VideoTracks:
        """The tracks of a finished video.

        Raises:
            TglError: they were lost during the run.
        """
        found = self._find(video)
        if found is None:
            raise self._out.lost(f"the tracks of video {video.video_id}")
        return found

    def _find(self, video: Video) -> VideoTracks | None:
        unit = self._out.finished(video.video_id, self._keys[video.video_id])
        return None if unit is None else VideoTracks.unpack(unit)


def _steps(job: TrackJob) -> int:
    return likely_steps(job.candidates, job.video.num_frames, job.config)


def _key(job: TrackJob, weights: str) -> str:
    """Digest of everything that a video's tracks depend on beside the config."""
    video = job.video
    about = [video.video_id, video.num_frames, video.height, video.width, frames_digest(video)]
    used = ("expression_id", "frame", "rank", "x0", "y0", "x1", "y1", "score")
    rows = [job.candidates.column(name).to_pylist() for name in used]
    masks = [
        None if counts is None else counts.hex()
        for counts in job.candidates.column("counts").to_pylist()
    ]
    return text_digest(canonical_json([weights, about, rows, masks]))


def _rows_by_video(table: pa.Table) -> dict[str, pa.Table]:
    """Split rows that stand video by video."""
    parts: dict[str, pa.Table] = {}
    start = 0
    names = table.column("video_id").to_pylist()
    while start < len(names):
        end = start
        while end < len(names) and names[end] == names[start]:
            end += 1
        parts[names[start]] = table.slice(start, end - start)
        start = end
    return parts

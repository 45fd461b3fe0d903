"""Tracking the objects of one video, on one device of a run."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from schemas.errors import TglError
from schemas.parquet import rows_of
from schemas.tables import MASKS, TRACKS
from stages.core.engine.failures import INPUT_FAILURES
from stages.core.engine.workers.devices import DeviceWorker
from stages.core.index.frame_files import require_unchanged
from stages.core.index.index import Video, track_name
from stages.core.media.rle import Rle
from stages.zero_shot.track.config import TrackConfig
from stages.zero_shot.track.steps import Steps
from stages.zero_shot.track.units import TrackCounts, VideoTracks

if TYPE_CHECKING:
    from stages.core.model.backbones.backbone import Backbone
    from stages.core.model.hidden_states import HiddenStates
    from stages.core.model.tracking.search import FoundObject
    from stages.core.model.tracking.sources import FeatureSource
    from stages.core.model.video_features import VideoFeatures
    from stages.zero_shot.track.propagation import MaskTrack
    from stages.zero_shot.track.proposals import Candidate


@dataclass(frozen=True)
class TrackJob:
    """A video whose objects are to be tracked.

    Attributes:
        video: with its frames.
        candidates: rows of the candidates table, in the order of sentences.
        config: of the run.
        backbone: folder of the tracker.
        precision: of the network.
        threads: that decode frames.
        features: artifact of tgl ground whose features of the video's frames are this backbone's.
        weights: digest of the backbone's folder.
    """

    video: Video
    candidates: pa.Table
    config: TrackConfig
    backbone: Path
    precision: str
    threads: int
    features: Path | None = None
    weights: str = ""


@dataclass(frozen=True)
class VideoFailure:
    """A video with a frame that cannot be read, so that the others go on."""

    error: TglError


def track_video(job: TrackJob, worker: DeviceWorker) -> VideoTracks | VideoFailure:
    """Find and track the objects of a video; `worker` advances by frames.

    Raises:
        TglError: the backbone cannot be loaded.
    """
    if not job.candidates.num_rows:
        return VideoTracks.empty()
    key = (job.backbone, job.config.image_size, job.weights)
    backbone = worker.keep("backbone", key, lambda: _load(job, worker.device))
    try:
        require_unchanged(job.video)
        return _Tracking(job, backbone, worker).run()
    except INPUT_FAILURES as error:
        return VideoFailure(error)


def _load(job: TrackJob, device: str) -> Backbone:
    from stages.core.model.backbones.families import load_backbone
    from stages.core.model.device import pick_device

    return (
        load_backbone(job.backbone, image_size=job.config.image_size).eval().to(pick_device(device))
    )


class _Tracking:
    """The work on one video."""

    def __init__(self, job: TrackJob, backbone: Backbone, worker: DeviceWorker):
        self._job = job
        self._backbone = backbone
        self._worker = worker
        self._steps = Steps(worker, job.config)
        self._size = (job.video.height, job.video.width)

    def run(self) -> VideoTracks:
        """Find the objects, propagate them, and merge those that turn out to be one."""
        import torch

        from stages.core.model.device import autocast, pick_device

        device = pick_device(self._worker.device)
        with (
            ThreadPoolExecutor(self._job.threads) as decoders,
            torch.inference_mode(),
            autocast(self._job.precision, device),
        ):
            features = self._features(self._job.video, decoders)
            try:
                return self._track(features, decoders)
            finally:
                features.close()

    def _features(self, video: Video, decoders: ThreadPoolExecutor) -> VideoFeatures:
        from stages.core.model.budgets import feature_bytes
        from stages.core.model.device import pick_device
        from stages.core.model.video_features import VideoFeatures

        device = pick_device(self._worker.device)
        features = VideoFeatures(
            video,
            self._backbone.encode_frames,
            size=self._backbone.image_size,
            device=device,
            budget=feature_bytes(self._job.config.feature_memory, device),
            chunk=self._job.config.chunk_frames,
            decoders=decoders,
            hidden=self._hidden(video),
        )
        self._steps.watch(features)
        return features

    def _hidden(self, video: Video) -> HiddenStates | None:
        """What tgl ground kept of the frames of the video or of a part of it."""
        from stages.core.model.backbones.sam3 import Sam3Backbone
        from stages.core.model.hidden_states import HiddenStates

        if self._job.features is None or not isinstance(self._backbone, Sam3Backbone):
            return None
        return HiddenStates.of(self._job.features, video, self._backbone)

    def _track(self, features: VideoFeatures, decoders: ThreadPoolExecutor) -> VideoTracks:
        from stages.core.model.tracking.overlaps import merged_groups
        from stages.zero_shot.track.propagation import propagate

        config, counts = self._job.config, TrackCounts(self._job.candidates.num_rows)
        searched = self._searched(counts)
        objects = self._search(features, decoders, searched, counts)
        prompts = [found.prompts(config.prompt_frames, searched) for found in objects]
        self._steps.expect(len(objects), [min(own) for own in prompts])
        done = propagate(self._backbone, features, prompts, self._size, self._steps.add)
        order = sorted(range(len(objects)), key=lambda n: -len(objects[n].frames))
        groups = merged_groups(done.small, order, config.merge)
        shown = [group for group in groups if done.tracks[group[0]].counts]
        counts.without_mask = sum(map(len, groups)) - sum(map(len, shown))
        groups = sorted(shown, key=lambda group: objects[group[0]].seed.frame)
        counts.merged = sum(len(group) - 1 for group in groups)
        counts.tracks = len(groups)
        counts.frames_encoded += features.encoded
        counts.frames_finished += features.finished
        return self._tables(objects, done.tracks, groups, counts)

    def _searched(self, counts: TrackCounts) -> list[int]:
        """The frames that are searched for objects, ascending."""
        frames = np.unique(np.asarray(self._job.candidates.column("frame")))
        most = min(len(frames), self._job.config.search_frames)
        chosen = frames[np.unique(np.linspace(0, len(frames) - 1, most).round().astype(int))]
        counts.frames_not_searched = len(frames) - len(chosen)
        return [int(frame) for frame in chosen]

    def _search(
        self,
        features: VideoFeatures,
        decoders: ThreadPoolExecutor,
        searched: list[int],
        counts: TrackCounts,
    ) -> list[FoundObject]:
        """The objects that are worth tracking, the best confirmed ones first."""
        from stages.core.model.tracking.search import find_objects
        from stages.core.model.tracking.sources import SparseFeatures
        from stages.zero_shot.track.proposals import find_proposals

        config, video = self._job.config, self._job.video
        sparse = None
        source: FeatureSource = SparseFeatures(features, searched)
        if (
            not features.resident
        ):  # a chunk of the whole video would encode frames that are not searched
            names = tuple(video.frame_names[frame] for frame in searched)
            part = replace(video, num_frames=len(searched), frame_names=names)
            source = sparse = self._features(part, decoders)
        try:
            proposals = find_proposals(
                self._backbone,
                source,
                self._candidates(searched),
                self._size,
                config.same_object,
                self._steps.add,
            )
            self._steps.begin(features, len(searched), proposals.items, kept=sparse is None)
            search = find_objects(
                self._backbone,
                source,
                searched,
                proposals.items,
                join=config.join,
                max_tracks=config.max_tracks,
                advance=self._steps.add,
                after_round=partial(self._after_round, searched),
            )
        finally:
            if sparse is not None:
                counts.frames_encoded += sparse.encoded
                counts.frames_finished += sparse.finished
                sparse.close()
        supported = [found for found in search.objects if self._supported(found, searched)]
        counts.candidates_without_mask = proposals.without_mask
        counts.unsupported = len(search.objects) - len(supported)
        counts.over_limit = max(0, len(supported) - config.max_tracks) + len(search.left)
        return supported[: config.max_tracks]

    def _supported(self, found: FoundObject, searched: Sequence[int]) -> bool:
        """Whether enough of the searched frames confirm an object."""
        config = self._job.config
        fewest = min(config.min_frames, -(-len(searched) // 2))
        return found.support >= config.min_support and len(found.frames) >= fewest

    def _after_round(
        self, searched: Sequence[int], objects: Sequence[FoundObject], seeds: int
    ) -> None:
        """Expect that of the tracks to come as many are kept as of those so far."""
        supported = sum(self._supported(found, searched) for found in objects)
        likely = supported + -(-seeds * supported // len(objects))
        self._steps.expect(likely, [found.seed.frame for found in objects], seeds=seeds)

    def _candidates(self, searched: Sequence[int]) -> list[list[Candidate]]:
        """The candidates of each searched frame."""
        from stages.zero_shot.track.proposals import Candidate

        names = ("frame", "x0", "y0", "x1", "y1", "score", "counts")
        columns = [self._job.candidates.column(name).to_pylist() for name in names]
        place = {frame: number for number, frame in enumerate(searched)}
        found: list[list[Candidate]] = [[] for _ in searched]
        for row, (frame, *box, score, counts) in enumerate(zip(*columns, strict=True)):
            if frame in place:
                mask: Rle | None = None
                if counts is not None:
                    mask = Rle(size=list(self._size), counts=counts)
                found[place[frame]].append(Candidate(row, frame, tuple(box), score, mask))
        return found

    def _tables(
        self,
        objects: Sequence[FoundObject],
        tracks: Sequence[MaskTrack],
        groups: Sequence[Sequence[int]],
        counts: TrackCounts,
    ) -> VideoTracks:
        """Rows of the masks and of the sentences' tracks, the tracks numbered from 1."""
        names = self._job.candidates.column("expression_id").to_pylist()
        scores = self._job.candidates.column("score").to_pylist()
        masks, rows = [], []
        for number, group in enumerate(groups, start=1):
            anno_id = track_name(self._job.video.video_id, number)
            track, seed = tracks[group[0]], objects[group[0]].seed
            masks += self._mask_rows(anno_id, track)
            own: dict[str, list[float]] = {}
            for row in sorted(row for member in group for row in objects[member].rows):
                own.setdefault(names[row], []).append(scores[row])
            for expression, found in own.items():
                rows.append(
                    {
                        "video_id": self._job.video.video_id,
                        "expression_id": expression,
                        "anno_id": anno_id,
                        "score": max(found),
                        "candidates": len(found),
                        "seed_frame": seed.frame,
                        "visible_frames": len(track.counts),
                        "quality": track.quality,
                    }
                )
        return VideoTracks(rows_of(masks, MASKS), rows_of(rows, TRACKS), counts)

    def _mask_rows(self, anno_id: str, track: MaskTrack) -> list[dict[str, object]]:
        height, width = self._size
        return [
            {
                "anno_id": anno_id,
                "frame": frame,
                "height": height,
                "width": width,
                "counts": track.counts[frame],
                "area": track.areas[frame],
            }
            for frame in sorted(track.counts)
        ]

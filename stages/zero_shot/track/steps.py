"""Progress of tracking in steps: one frame that is encoded, or one object on one frame.

Both cost about as much (FACTS: 293 to 648 GFLOP for a frame, 186 to 606 for an object on it). The
number of objects is known after the search only; until then it is estimated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from stages.core.engine.workers.devices import DeviceWorker
from stages.zero_shot.track.config import TrackConfig

if TYPE_CHECKING:
    from stages.core.model.tracking.search import Proposal
    from stages.core.model.video_features import VideoFeatures


def likely_steps(candidates: pa.Table, num_frames: int, config: TrackConfig) -> int:
    """Steps of a video as far as its candidates tell: those of a sentence on a frame differ.

    Args:
        candidates: of the video.
        num_frames: of the video.
    """
    if not candidates.num_rows:
        return 0
    names, frames = (candidates.column(name).to_pylist() for name in ("expression_id", "frame"))
    objects = min(max(Counter(zip(names, frames, strict=True)).values()), config.max_tracks)
    searched = min(len(set(frames)), config.search_frames)
    return (1 + objects) * (searched + num_frames)


class Steps:
    """Reports the steps of one video.

    Args:
        worker: that the video runs on.
        config: of the run.
    """

    def __init__(self, worker: DeviceWorker, config: TrackConfig):
        self._worker = worker
        self._most = config.max_tracks
        self._watched: list[VideoFeatures] = []
        self._encoded = 0
        self._whole: VideoFeatures | None = None
        self._searched = 0
        self._kept = False

    def watch(self, features: VideoFeatures) -> None:
        """Count the frames that are encoded for these features."""
        self._watched.append(features)

    def add(self, objects: int) -> None:
        """Report objects that are finished on a frame, and frames encoded since the last report."""
        encoded = sum(features.encoded + features.finished for features in self._watched)
        self._worker.advance(objects + encoded - self._encoded)
        self._encoded = encoded

    def begin(
        self, features: VideoFeatures, searched: int, proposals: Sequence[Proposal], *, kept: bool
    ) -> None:
        """Expect as many objects as one frame has proposals at most.

        Args:
            features: of the whole video.
            searched: number of searched frames.
            proposals: on these frames.
            kept: the features of all frames are kept once they are made.
        """
        self._whole, self._searched, self._kept = features, searched, kept
        per_frame = Counter(proposal.frame for proposal in proposals)
        objects = max(per_frame.values(), default=0)
        self.expect(objects, list(per_frame), seeds=objects)

    def expect(self, objects: int, starts: Sequence[int], *, seeds: int = 0) -> None:
        """Expect that seeds are tracked on the searched frames, then objects on all frames.

        Args:
            starts: frames from which the objects are tracked both ways.
        """
        if self._whole is None:
            return
        frames = len(self._whole)
        encoded = self._whole.encoded + self._whole.finished
        to_encode = max(0, frames - encoded)
        if not self._kept:  # frames between the first and the last start: once per direction
            to_encode = frames + max(starts, default=0) - min(starts, default=0)
        tracked = min(objects, self._most) * frames
        self._worker.expect(seeds * self._searched + to_encode + tracked)

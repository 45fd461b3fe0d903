"""Masks that are propagated again from each track's moment (MDP), without a sentence.

A referent has one memory bank. The tracked masks of its moment are written to it, frame by frame in
order of time; the frames outside read the nearest of them, from both sides, and are not written
(paper, section on moment-guided dual-path propagation). A track that drifted to another object
outside of its moment is thus corrected from the frames in which a judge recognised it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from torch import Tensor

from stages.core.engine.workers.devices import DeviceWorker
from stages.core.index.frame_files import require_unchanged
from stages.core.index.masks import Track
from stages.core.media.rle import decode, encode
from stages.core.model import budgets
from stages.core.model.backbones.backbone import Backbone
from stages.core.model.backbones.families import load_backbone
from stages.core.model.backbones.features import FrameFeatures
from stages.core.model.backbones.records import Decoded, MemoryTokens
from stages.core.model.config import SegmenterConfig
from stages.core.model.device import autocast, pick_device
from stages.core.model.dual_path.segmenter import Segmenter
from stages.core.model.dual_path.tracks import ClipTrack, Item
from stages.core.model.masks import enlarge_masks, resize_masks
from stages.core.model.video_features import VideoFeatures
from stages.zero_shot.assemble.accepted import Accepted
from stages.zero_shot.assemble.writing import (
    Job,
    Referent,
    ReferentKey,
    WrittenVideo,
    key_of,
    tracked_masks,
    write_video,
)

_HALF = 0.5


def write_propagated(job: Job, worker: DeviceWorker) -> WrittenVideo:
    """Write the masks of a video, propagated from the moments of its accepted tracks.

    Raises:
        MissingInput, CorruptInput: frames or masks cannot be read.
    """
    masks = tracked_masks(job)
    accepted = {
        key_of(track): track
        for sentence in job.sentences
        for track in sentence.accepted
        if masks[track.anno_id]
    }
    unseen = Referent({}, np.full(job.video.num_frames, np.nan, np.float32))
    referents = {key_of(track): unseen for sentence in job.sentences for track in sentence.accepted}
    if accepted:
        require_unchanged(job.video)
        device = pick_device(worker.device)
        backbone = worker.keep("backbone", job.weights, partial(_load, job, device))
        referents |= _propagate(job, accepted, masks, backbone, device)
    return write_video(job, referents)


def _load(job: Job, device: torch.device) -> Backbone:
    assert job.inputs.backbone is not None  # AssembleInputs.check
    return load_backbone(job.inputs.backbone).eval().to(device)


@torch.inference_mode()
def _propagate(
    job: Job,
    accepted: Mapping[ReferentKey, Accepted],
    masks: Mapping[str, Track],
    backbone: Backbone,
    device: torch.device,
) -> dict[ReferentKey, Referent]:
    """Make the masks of all accepted tracks in every frame."""
    keys, frames = list(accepted), job.video.num_frames
    tracks = [
        _clip_track(row, moment_frames(accepted[key], masks[key[0]]), frames)
        for row, key in enumerate(keys)
    ]
    known = [masks[key[0]] for key in keys]
    results = _Results(job, tracks, known)
    with ThreadPoolExecutor(job.threads) as decoders:
        features = VideoFeatures(
            job.video,
            backbone.encode_frames,
            size=backbone.image_size,
            device=device,
            budget=budgets.feature_bytes(job.config.feature_memory, device),
            chunk=job.config.chunk_frames,
            decoders=decoders,
        )
        config = SegmenterConfig(memory_frames=job.config.memory_frames)
        segmenter = Segmenter(backbone, config, one_video=True)
        try:
            with autocast(job.precision, device):
                for items, decoded in segmenter.run(
                    tracks,
                    lambda items: features.of([item.frame for item in items]),
                    TrackedPath(backbone, known),
                    by_time=not features.resident,
                ):
                    results.add(items, decoded)
        finally:
            features.close()
    return {key: results.referent(row) for row, key in enumerate(keys)}


def moment_frames(track: Accepted, masks: Track) -> tuple[int, ...]:
    """Frames that are written: those of the moment that show the track, or all that show it."""
    visible = [frame for frame in sorted(masks) if frame < len(track.moment)]
    return tuple(frame for frame in visible if track.moment[frame]) or tuple(visible)


def _clip_track(row: int, written: tuple[int, ...], frames: int) -> ClipTrack:
    others = np.setdiff1d(np.arange(frames), written)
    return ClipTrack(
        expression=row, times=np.arange(frames), guided=written, others=tuple(others.tolist())
    )


class TrackedPath:
    """A ``LanguagePath`` whose masks are those of given tracks.

    Args:
        backbone: reads the masks into tokens for the memory.
        tracks: by row; every frame that is asked for has a mask.
    """

    def __init__(self, backbone: Backbone, tracks: Sequence[Track]):
        self._backbone = backbone
        self._tracks = tracks

    def segment(
        self, items: Sequence[Item], features: FrameFeatures, memory: MemoryTokens | None
    ) -> Decoded:
        """See ``LanguagePath``; the memory is not read."""
        side, device = self._backbone.image_size, features.coarse.device
        masks = torch.stack([self._mask(item, side) for item in items]).to(device)  # (B, S, S)
        return self._backbone.read_mask(features, masks, gate=True)

    def _mask(self, item: Item, side: int) -> Tensor:
        rle = self._tracks[item.expression][item.frame]
        mask = decode(rle, where=f"track {item.expression}, frame {item.frame}")
        covered = resize_masks(torch.from_numpy(np.ascontiguousarray(mask))[None, None], side)[0, 0]
        return (covered >= _HALF).float()


class _Results:
    """The masks of each row by frame: as tracked in the moment, decoded elsewhere."""

    def __init__(self, job: Job, tracks: Sequence[ClipTrack], known: Sequence[Track]):
        self._video = job.video
        self._written = [frozenset(track.guided) for track in tracks]
        self._known = known
        self._masks: list[Track] = [{} for _ in tracks]
        self._scores = np.full((len(tracks), job.video.num_frames), np.nan, np.float32)

    def add(self, items: Sequence[Item], decoded: Decoded) -> None:
        """Take the results of B items."""
        rows = [
            n for n, item in enumerate(items) if item.frame not in self._written[item.expression]
        ]
        for item in items:
            if item.frame in self._written[item.expression]:
                self._masks[item.expression][item.frame] = self._known[item.expression][item.frame]
        scores = decoded.object_score.float().cpu().numpy()
        visible = [row for row in rows if scores[row] > 0]
        for row in rows:
            self._scores[items[row].expression, items[row].frame] = scores[row]
        logits = decoded.mask_logits
        for row in visible:  # one at a time: masks at the video's size are large
            mask = enlarge_masks(logits[row : row + 1], self._video.height, self._video.width)[0]
            if mask.any():
                self._masks[items[row].expression][items[row].frame] = encode(mask.cpu().numpy())

    def referent(self, row: int) -> Referent:
        """Return the masks of one row."""
        return Referent(self._masks[row], self._scores[row])

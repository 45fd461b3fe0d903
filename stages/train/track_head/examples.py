"""Tracks that the head learns from, with the sentences and frames that are true of each.

At inference tracks come from SAM 2, which loses objects, slips to others and starts from parts or
from the background. So the true masks of a video are shown once as they are, and once with such
faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from schemas.errors import CorruptInput
from stages.core.index.index import Expression, Index, Video
from stages.core.media.rle import decode
from stages.core.model.masks import resize_masks
from stages.train.data.targets import frames_in

MOST_OBJECTS = 12
"""Objects of a video that are shown at once."""
SAME_OBJECT = 0.5
"""IoU over the video from which a faulty track still is its object."""
_FAULT = 0.5
"""Probability of each fault, per track."""
_LARGEST_SHIFT = 2


@dataclass(frozen=True)
class TrueTracks:
    """The objects of a video in some of its frames.

    Attributes:
        anno_ids: of the N objects.
        masks: float (N, T, m, m), the share of each pixel that an object covers.
    """

    anno_ids: tuple[str, ...]
    masks: Tensor


@dataclass(frozen=True)
class LabelledTracks:
    """Tracks, and the object that each one is.

    Attributes:
        masks: float (N, T, m, m).
        owner: for each track the number of its object, -1 for none.
    """

    masks: Tensor
    owner: tuple[int, ...]


@dataclass(frozen=True)
class Labels:
    """What is true of N tracks and E sentences in T frames.

    Attributes:
        match: bool (E, N), the sentence means the track.
        relevant: bool (E, N, T), and it is true of the track in the frame.
        known: bool (E,), the moments of the sentence are known.
    """

    match: Tensor
    relevant: Tensor
    known: Tensor

    def padded(self, sentences: int) -> Labels:
        """With further sentences, up to a number, that mean none of the tracks."""
        more = sentences - len(self.known)
        return Labels(
            torch.cat([self.match, self.match.new_zeros(more, *self.match.shape[1:])]),
            torch.cat([self.relevant, self.relevant.new_zeros(more, *self.relevant.shape[1:])]),
            torch.cat([self.known, self.known.new_ones(more)]),
        )


def true_tracks(
    index: Index, video: Video, frames: np.ndarray, side: int, rng: np.random.Generator
) -> TrueTracks:
    """The objects that any sentence of a video refers to.

    Args:
        frames: int (T,) positions in the video.
        side: m.
        rng: chooses where there are more than ``MOST_OBJECTS``.

    Raises:
        CorruptInput: a mask cannot be decoded, or has another size than the video.
    """
    found = {a: None for e in index.expressions_of(video.video_id) for a in e.anno_ids}
    anno_ids = sorted(found)
    if len(anno_ids) > MOST_OBJECTS:
        chosen = rng.choice(len(anno_ids), MOST_OBJECTS, replace=False)
        anno_ids = [anno_ids[number] for number in sorted(chosen)]
    masks = torch.zeros(len(anno_ids), len(frames), side, side)
    for row, anno_id in enumerate(anno_ids):
        track = index.masks.frames_of(anno_id)
        for place, frame in enumerate(map(int, frames)):
            if frame in track:
                where = f"{index.folder}, video {video.video_id}, frame {frame}"
                full = decode(track[frame], where=where)
                if full.shape != (video.height, video.width):
                    raise CorruptInput(f"the mask of {anno_id} has another size", where=where)
                masks[row, place] = resize_masks(torch.from_numpy(full)[None, None], side)[0, 0]
    return TrueTracks(tuple(anno_ids), masks)


def as_they_are(truth: TrueTracks) -> LabelledTracks:
    """The true tracks."""
    return LabelledTracks(truth.masks, tuple(range(len(truth.anno_ids))))


def with_faults(truth: TrueTracks, rng: np.random.Generator) -> LabelledTracks:
    """The tracks as a tracker might give them, and one that is no object."""
    count = len(truth.anno_ids)
    tracks = [_faulty(truth.masks, number, rng) for number in range(count)]
    if count:
        tracks.append(_elsewhere(truth.masks[rng.integers(count)], rng))
    masks = torch.stack(tracks) if tracks else truth.masks
    overlap = _video_iou(masks, truth.masks)  # (N', N)
    owner = [int(row.argmax()) if len(row) and row.max() >= SAME_OBJECT else -1 for row in overlap]
    return LabelledTracks(masks, tuple(owner))


def labels(
    index: Index,
    expressions: Sequence[Expression],
    truth: TrueTracks,
    tracks: LabelledTracks,
    frames: np.ndarray,
) -> Labels:
    """What is true of the tracks.

    A sentence means a track if the track is one of its referents and, where its moments are known,
    one of the frames lies in them.
    """
    shape = (len(expressions), len(tracks.owner))
    match = torch.zeros(shape, dtype=torch.bool)
    relevant = torch.zeros(*shape, len(frames), dtype=torch.bool)
    known = torch.zeros(len(expressions), dtype=torch.bool)
    for row, expression in enumerate(expressions):
        moments = index.moments(*expression.key)
        known[row] = bool(moments) or not expression.anno_ids
        for number, owner in enumerate(tracks.owner):
            anno_id = truth.anno_ids[owner] if owner >= 0 else None
            if anno_id is None or anno_id not in expression.anno_ids:
                continue
            inside = frames_in([*moments.get(anno_id, ()), *moments.get(None, ())], frames)
            relevant[row, number] = torch.from_numpy(inside)
            match[row, number] = bool(inside.any()) if moments else True
    return Labels(match, relevant, known)


def _faulty(masks: Tensor, number: int, rng: np.random.Generator) -> Tensor:
    """(T, m, m) track of an object with some faults."""
    track = masks[number].clone()
    frames = len(track)
    if len(masks) > 1 and rng.random() < _FAULT / 2:
        other = (number + 1 + int(rng.integers(len(masks) - 1))) % len(masks)
        slip = int(rng.integers(frames))
        track[slip:] = masks[other, slip:]
    if rng.random() < _FAULT:
        track = _resized(track, grown=rng.random() < _FAULT)
    if rng.random() < _FAULT:
        track = _shifted(track, int(rng.integers(-1, 2)), int(rng.integers(-1, 2)))
    if rng.random() < _FAULT:
        start = int(rng.integers(frames))
        track[start : start + int(rng.integers(1, max(2, frames // 3)))] = 0
    return track


def _elsewhere(track: Tensor, rng: np.random.Generator) -> Tensor:
    """A track that follows an object at a distance, as one of the background may."""
    side = track.shape[-1]
    far = int(rng.integers(side // 4, side // 2 + 1)) * (1 if rng.random() < _FAULT else -1)
    near = int(rng.integers(-_LARGEST_SHIFT, _LARGEST_SHIFT + 1))
    steps = (far, near) if rng.random() < _FAULT else (near, far)
    return _shifted(track, *steps)


def _resized(track: Tensor, *, grown: bool) -> Tensor:
    """A pixel more or less on each side."""
    sign = 1 if grown else -1
    return sign * F.max_pool2d(sign * track.unsqueeze(1), 3, stride=1, padding=1)[:, 0]


def _shifted(track: Tensor, rows: int, columns: int) -> Tensor:
    """Moved down and right; what leaves the frame is lost."""
    side = track.shape[-1]
    moved = torch.zeros_like(track)
    to_y, to_x = (
        slice(max(0, rows), side + min(0, rows)),
        slice(max(0, columns), side + min(0, columns)),
    )
    from_y = slice(max(0, -rows), side + min(0, -rows))
    from_x = slice(max(0, -columns), side + min(0, -columns))
    moved[:, to_y, to_x] = track[:, from_y, from_x]
    return moved


def _video_iou(masks: Tensor, others: Tensor) -> Tensor:
    """(A, B) IoU over all frames of soft masks (A, T, m, m) and (B, T, m, m)."""
    a, b = masks.flatten(1), others.flatten(1)
    both = a @ b.T
    either = (a * a).sum(dim=1)[:, None] + (b * b).sum(dim=1)[None] - both
    return both / either.clamp(min=1e-6)

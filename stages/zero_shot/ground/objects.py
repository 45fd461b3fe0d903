"""Boxes of true objects, spoilt by seed as a detector might: a reference for what comes after."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stages.core.datasets.objects import KnownObject, read_objects, referents_as_objects
from stages.core.index.index import Index, Video
from stages.core.media.rle import decode
from stages.zero_shot.ground.boxes import Boxes
from stages.zero_shot.ground.config import GroundConfig

_SMALLEST, _LARGEST = 0.1, 0.4
"""Sides of a false box, as shares of the frame's."""
_LOWEST_SCORE = 0.5


class TrueObjects:
    """The objects of an index's videos.

    Args:
        index: with masks.
        listed: an objects.json with all objects; None for the referents of the sentences.

    Raises:
        TglError: the list is missing or damaged.
    """

    def __init__(self, index: Index, listed: Path | None):
        self._index = index
        self._objects = (
            referents_as_objects(index) if listed is None else read_objects(listed, index)
        )

    def count(self, video: Video) -> int:
        """Number of objects of a video."""
        return len(self._objects.get(video.video_id, ()))

    def boxes(self, video: Video, frames: Sequence[int], config: GroundConfig) -> list[Boxes]:
        """The boxes of a video's objects on each frame, best first, the same for any sentence.

        Each side of a box is shifted by up to `box_noise` of the box's size, each box is missing
        with probability `miss`, and `false_boxes` random ones are added. Scores are random: they
        say nothing about the sentence.

        Raises:
            CorruptInput: a mask is damaged.
        """
        tracks = [self._track(item, frames) for item in self._objects.get(video.video_id, ())]
        return [
            self._on_frame([track[frame] for track in tracks], video, frame, config)
            for frame in frames
        ]

    def _track(self, item: KnownObject, frames: Sequence[int]) -> dict[int, np.ndarray | None]:
        """The true box of an object on each frame, None where it is not visible."""
        masks = self._index.masks.frames_of(item.anno_id)
        return {
            frame: box_of(decode(masks[frame], where=f"object {item.anno_id}, frame {frame}"))
            if frame in masks
            else None
            for frame in frames
        }

    def _on_frame(
        self, true: Sequence[np.ndarray | None], video: Video, frame: int, config: GroundConfig
    ) -> Boxes:
        random = _generator(config.seed, video.video_id, frame)
        corners = []
        for box in true:
            # Drawn for every object, so that what one is does not depend on the others.
            shifts = random.uniform(-1, 1, 4) * config.box_noise
            missed = random.random() < config.miss
            if box is not None and not missed:
                sides = np.tile(box[2:] - box[:2], 2)
                corners.append(box + shifts * sides)
        corners += [_false_box(random, video) for _ in range(config.false_boxes)]
        scores = random.uniform(_LOWEST_SCORE, 1, len(corners)).astype(np.float32)
        order = np.argsort(-scores, kind="stable")
        boxes = np.array(corners, np.float32).reshape(-1, 4)
        found = Boxes(boxes, scores, [None] * len(scores)).at(order)
        return found.inside(video.height, video.width)


def box_of(mask: np.ndarray) -> np.ndarray | None:
    """x0, y0, x1, y1 (half-open) of a mask (H, W), float64 (4,); None for an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)


def _false_box(random: np.random.Generator, video: Video) -> np.ndarray:
    frame = np.array([video.width, video.height])
    size = random.uniform(_SMALLEST, _LARGEST, 2) * frame
    start = random.uniform(0, 1, 2) * (frame - size)
    return np.concatenate([start, start + size])


def _generator(seed: int, video_id: str, frame: int) -> np.random.Generator:
    """Random numbers of one frame, whatever else is in the index."""
    key = f"{seed}\0{video_id}\0{frame}".encode()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(key).digest()[:8], "big"))

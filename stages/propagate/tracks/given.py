"""Tracks that an index has: of tgl track, or true masks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from schemas.errors import CorruptInput, MissingInput
from schemas.wording import amount
from stages.core.index.index import Index, Video
from stages.core.index.masks import Track
from stages.core.media.rle import decode
from stages.core.model.tracking.overlaps import MATCH_SIDE


@dataclass(frozen=True)
class RleTracks:
    """``ObjectTracks`` kept as run lengths at the video's size.

    Attributes:
        names: anno ids of the tracks.
        masks: of each, by frame.
        size: (H, W) of the video.
        where: the index, for messages.
    """

    names: Sequence[str]
    masks: Sequence[Track]
    size: tuple[int, int]
    where: Path

    def small(self, frames: Sequence[int]) -> Tensor:
        """See ``ObjectTracks``."""
        return self.cover(frames) >= 0.5

    def cover(self, frames: Sequence[int]) -> Tensor:
        """See ``ObjectTracks``."""
        side = min(MATCH_SIDE, *self.size)
        shares = torch.zeros(len(self.names), len(frames), side, side)
        for number in range(len(self.names)):
            for place, frame in enumerate(frames):
                if frame in self.masks[number]:
                    mask = torch.from_numpy(self.full(frame, [number])).float()
                    share = F.interpolate(mask[None], size=(side, side), mode="area")
                    shares[number, place] = share[0, 0]
        return shares

    def full(self, frame: int, numbers: Sequence[int]) -> np.ndarray:
        """See ``ObjectTracks``; raises CorruptInput where run lengths do not fill the frame."""
        masks = np.zeros((len(numbers), *self.size), bool)
        for place, number in enumerate(numbers):
            rle = self.masks[number].get(frame)
            if rle is not None:
                masks[place] = decode(rle, where=f"{self.where}, {self.names[number]}")
        return masks

    def visible(self, number: int) -> int:
        """See ``ObjectTracks``."""
        return len(self.masks[number])


class GivenTracks:
    """The tracks of the videos of an index.

    Args:
        folder: of the index, as `tgl track` writes one.

    Raises:
        TglError: it cannot be read.
    """

    def __init__(self, folder: Path):
        self._index = Index.open(folder)

    def digest(self, video: Video) -> str:
        """Digest of the tracks of a video; of nothing if it has none."""
        content = hashlib.sha256()
        for name in self._names(video):
            for frame, rle in self._index.masks.frames_of(name).items():
                content.update(f"{name}\0{frame}\0{rle['size']}\0".encode() + rle["counts"])
        return content.hexdigest()

    def of(self, video: Video) -> RleTracks:
        """The tracks of a video, whichever sentence they were found for.

        Raises:
            MissingInput: the index does not have the video.
            CorruptInput: it has another number of frames or another size there.
        """
        folder, own = self._index.folder, self._index.videos.get(video.video_id)
        if own is None:
            raise MissingInput("has no tracks of this video", where=f"--tracks {folder}")
        size = (video.height, video.width)
        if own.num_frames != video.num_frames:
            raise CorruptInput(
                f"its tracks are of {amount(own.num_frames, 'frames')}, the video has "
                f"{video.num_frames}",
                where=f"--tracks {folder}",
            )
        names = self._names(video)
        masks = [self._index.masks.frames_of(name) for name in names]
        for name, track in zip(names, masks, strict=True):
            for frame, rle in track.items():
                if tuple(rle["size"]) != size or frame >= video.num_frames:
                    raise CorruptInput(
                        f"the mask of {name} in frame {frame} does not fit the video of "
                        f"{video.width}x{video.height} pixels and {video.num_frames} frames",
                        where=f"--tracks {folder}",
                    )
        return RleTracks(names, masks, size, folder)

    def _names(self, video: Video) -> list[str]:
        """Anno ids of the tracks of a video, in the order of its sentences."""
        expressions = self._index.expressions_of(video.video_id)
        return list(dict.fromkeys(name for one in expressions for name in one.anno_ids))

"""The targets of a training clip: supervised referents and their masks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from schemas.errors import CorruptInput
from stages.core.index.index import Index, Video
from stages.core.index.masks import Track
from stages.core.media.rle import Rle
from stages.core.media.rle_area import covered_area
from stages.core.media.spans import Span
from stages.core.model.masks import resize_masks

Spans = Sequence[Span]

FULL = 240
"""The value of a target pixel that is covered completely.

All multiples of a sixteenth are exact: the decoder's masks have a quarter of the image's side, so
masks of the image's own size lose nothing. Others are off by at most 1 / 480.
"""
_HALF = Fraction(1, 2)
_ROUNDED = 0.5


def frames_in(spans: Iterable[Span], frames: np.ndarray) -> np.ndarray:
    """Bool (T,): whether each of `frames` lies in one of the spans."""
    inside = np.zeros(len(frames), dtype=bool)
    for start, end in spans:
        inside |= (frames >= start) & (frames < end)
    return inside


def relevant_frames(moments: Mapping[str | None, Spans], frames: np.ndarray) -> np.ndarray:
    """Bool (T,): t in M+ for each of `frames`, the union over all referents."""
    return frames_in((span for spans in moments.values() for span in spans), frames)


def target_referents(
    anno_ids: Sequence[str],
    moments: Mapping[str | None, Spans],
    frames: np.ndarray,
    *,
    oss: bool,
) -> tuple[str, ...]:
    """The referents that a clip supervises (paper, object-level selective supervision).

    A_c = {o : span(o) meets the clip's frames in M+}. M+ is the union of all spans, so these are
    the referents with a clip frame in their spans. Spans under the key None belong to every
    referent.

    Args:
        anno_ids: all referents of the sentence.
        frames: int (T,) frames of the clip.
        oss: False returns all referents and ignores `moments`.
    """
    if not oss:
        return tuple(anno_ids)
    shared = moments.get(None, ())
    return tuple(
        anno_id
        for anno_id in anno_ids
        if frames_in([*moments.get(anno_id, ()), *shared], frames).any()
    )


@dataclass(frozen=True)
class ReferentMasks:
    """The stored masks of some referents of a video.

    Attributes:
        anno_ids: of the referents.
        tracks: one for each of them.
        where: index and video, for messages.
    """

    anno_ids: tuple[str, ...]
    tracks: tuple[Track, ...]
    where: str

    @staticmethod
    def of(index: Index, video: Video, anno_ids: Sequence[str]) -> ReferentMasks:
        """Find the masks of some referents.

        Raises:
            CorruptInput: the index has no mask of one.
        """
        tracks = tuple(index.masks.frames_of(anno_id) for anno_id in anno_ids)
        for anno_id, track in zip(anno_ids, tracks, strict=True):
            if not track:
                raise CorruptInput(
                    f"the masks table has no mask of {anno_id}",
                    where=f"{index.folder}, video {video.video_id}",
                    hint="tgl check lists every fault of the index",
                )
        return ReferentMasks(
            tuple(anno_ids), tracks, f"{index.folder}, video {video.video_id}, frame"
        )

    def shares(self, frames: np.ndarray, side: int) -> np.ndarray:
        """Their union in each of T frames, uint8 (T, side, side), see ``targets.union_share``.

        Raises:
            CorruptInput: a mask cannot be decoded, or those of a frame differ in size.
        """
        return self._resized(frames, side, union_share)

    def binary(self, frames: np.ndarray, side: int) -> np.ndarray:
        """As :meth:`shares`, of 0 and 1; see ``targets.union_mask``."""
        return self._resized(frames, side, union_mask)

    def _resized(
        self, frames: np.ndarray, side: int, union: Callable[..., np.ndarray]
    ) -> np.ndarray:
        masks = {}
        for frame in map(int, np.unique(frames)):
            found = [track[frame] for track in self.tracks if frame in track]
            masks[frame] = union(found, side, where=f"{self.where} {frame}")
        return np.stack([masks[int(frame)] for frame in frames])


def union_share(masks: Sequence[Rle], side: int, *, where: object) -> np.ndarray:
    """The union of masks, resized: covered shares in steps of 1 / FULL, uint8 (side, side).

    A mask that is not empty has a pixel that is not 0, however small it is.

    Raises:
        CorruptInput: as ``rle_area.covered_area``.
    """
    return covered_area(masks, side, where=where).rounded(FULL)


def union_mask(masks: Sequence[Rle], side: int, *, where: object) -> np.ndarray:
    """The union of masks, resized: uint8 (side, side), 1 where at least half is covered.

    The best covered pixel is always 1, so that a small object does not vanish.

    Raises:
        CorruptInput: as ``rle_area.covered_area``.
    """
    return covered_area(masks, side, where=where).at_least(_HALF)


def target_side(loss_side: int, mask_side: int, heatmap_side: int, image_side: int) -> int:
    """The side of targets of which all losses take means over whole pixels.

    Args:
        loss_side: at which masks are compared with targets; 0: `mask_side`.
        mask_side: of the mask decoder's output.
        heatmap_side: of the adapter's heat map.
        image_side: taken if the others do not divide the largest of them.
    """
    compared = (loss_side or mask_side, mask_side, heatmap_side)
    largest = max(compared)
    return largest if not any(largest % side for side in compared) else image_side


def fractions(targets: Tensor) -> Tensor:
    """Shares in steps of 1 / FULL, uint8 of any shape, as float32 from 0 to 1."""
    return targets.float() / FULL


def shares_of_masks(masks: Tensor, side: int) -> Tensor:
    """Masks (T, S, S) of 0 and 1, resized as :func:`union_share` does: uint8 (T, side, side)."""
    exact = resize_masks(masks.unsqueeze(0), side)[0]  # (T, side, side)
    shares = (exact * FULL + _ROUNDED).floor()
    best = exact.amax(dim=(1, 2), keepdim=True)
    return torch.where((exact == best) & (best > 0), shares.clamp(min=1), shares).to(torch.uint8)

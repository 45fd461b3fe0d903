"""The targets of a training clip: supervised referents and their masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce

import numpy as np

from stages.core.media.spans import Span

Spans = Sequence[Span]


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


def union_mask(masks: Sequence[np.ndarray], size: int) -> np.ndarray:
    """The union of masks (H, W), uint8 of 0 and 1, resized to (size, size).

    A pixel is 1 if at least half of its area in the source is. The pixel that covers the mask best
    is always 1, so that a small object does not vanish.
    """
    full = reduce(np.bitwise_or, masks, np.zeros((), np.uint8))
    if not full.any():
        return np.zeros((size, size), np.uint8)
    if full.shape == (size, size):
        return full
    share = _resize_area(full.astype(np.float32), size)
    return (share >= min(_HALF, float(share.max()))).astype(np.uint8)


_HALF = 0.5


def _resize_area(image: np.ndarray, size: int) -> np.ndarray:
    """Mean of `image` (H, W) over each cell of a size x size grid, cells cut exactly."""
    return _area_weights(image.shape[0], size) @ image @ _area_weights(image.shape[1], size).T


def _area_weights(source: int, size: int) -> np.ndarray:
    """(size, source): the share that each source pixel has in each cell; rows sum to 1."""
    bounds = np.linspace(0, source, size + 1)
    pixels = np.arange(source)
    overlap = np.minimum(bounds[1:, None], pixels + 1) - np.maximum(bounds[:-1, None], pixels)
    weights = np.clip(overlap, 0, None) * (size / source)
    return weights.astype(np.float32)

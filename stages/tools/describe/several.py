"""Krippendorff's alpha of any number of sets of moments, which may leave out sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from stages.core.index.index import Index
from stages.core.media.spans import span_mask
from stages.core.statistics.chance import alpha, coincidences_of_units
from stages.core.statistics.resampling import interval_of_sums
from stages.tools.describe.agreement import lanes_of
from stages.tools.describe.moment_sets import MomentSet

_TWO = 2


def alpha_of_all(index: Index, sets: Sequence[MomentSet]) -> dict[str, Any]:
    """Compute alpha over the frames of all sentences that at least two sets judge.

    Returns:
        names, counts, and alpha with its interval over videos.
    """
    matrices: dict[str, np.ndarray] = defaultdict(lambda: np.zeros((2, 2)))
    sentences = units = 0
    for expression in index.expressions:
        judging = [found for found in sets if expression.key in found.known]
        if len(judging) < _TWO or not any(expression.key in found.judged for found in judging):
            continue
        frames = index.videos[expression.video_id].num_frames
        lanes = lanes_of(expression, judging)
        for lane in lanes:
            masks = [span_mask(found.of(expression.key, lane), frames) for found in judging]
            true = np.sum(masks, axis=0)  # int (T,), how many sets say so
            counts = np.stack([len(judging) - true, true], axis=-1)  # (T, 2)
            matrices[expression.video_id] += coincidences_of_units(counts)
        sentences += 1
        units += frames * len(lanes)
    sums = np.array(list(matrices.values())).reshape(-1, 4)
    (low, high), value = interval_of_sums(sums, _alpha)[0], _alpha(sums.sum(0))[0]
    known = [None if np.isnan(number) else float(number) for number in (value, low, high)]
    return {
        "sets": [found.name for found in sets],
        "sentences": sentences,
        "videos": len(matrices),
        "frames": units,
        "alpha": dict(zip(("value", "low", "high"), known, strict=True)),
    }


def _alpha(sums: np.ndarray) -> np.ndarray:
    """Alpha of flat matrices (..., 4), as (..., 1)."""
    return alpha(sums.reshape(*sums.shape[:-1], 2, 2))[..., None]

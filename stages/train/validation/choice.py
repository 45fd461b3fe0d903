"""Sentences and frames of a validation: a function of the config and the index."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from stages.core.index.index import Expression, Index, Video
from stages.train.config import TrainConfig


def chosen_sentences(config: TrainConfig, index: Index) -> dict[str, list[tuple[int, Expression]]]:
    """Evenly spaced sentences by video, with their numbers in the index."""
    expressions = index.expressions
    count = min(config.valid_expressions, len(expressions))
    by_video: dict[str, list[tuple[int, Expression]]] = defaultdict(list)
    for number in np.arange(count) * len(expressions) // count:
        expression = expressions[number]
        by_video[expression.video_id].append((int(number), expression))
    return by_video


def frames_compared(config: TrainConfig, video: Video) -> np.ndarray:
    """int64 (T,), evenly spaced frames whose masks are compared."""
    count = min(config.valid_frames, video.num_frames)
    return np.arange(count) * video.num_frames // count

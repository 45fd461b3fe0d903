"""Steps between validations, where the user does not choose them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from stages.core.index.index import Expression, Index
from stages.train.config import TrainConfig
from stages.train.validation.choice import chosen_sentences, frames_compared

SHARE = 0.05
"""Most of the work of the steps between two validations that a validation may be."""
ENCODE, SEGMENT = 1.0, 1.0
"""Work of encoding a frame, and of segmenting it for one sentence with a full memory bank."""
LEARN = 1.5
"""Work of segmenting a frame of a clip, forward and backward, with the short bank of a clip."""
ADAPTER = 0.25
"""Share of a step's work that a step of the adapter alone takes."""
_DIGITS = 2


def validation_interval(config: TrainConfig, held_out: Index, processes: int) -> int:
    """Steps between validations: as chosen, or enough to keep them below 5 % of the work.

    The work is counted in frames, not measured: the best checkpoint depends on when it is compared
    with others, and must not depend on the machine. The weights are those of SAM 2.1 base-plus at
    1024 px: 0.65 TFLOP to encode a frame, up to 0.62 to segment it, 1.1 to learn from it.

    Args:
        held_out: the index to validate on.
        processes: that train together; they share a validation as they share a step.
    """
    if config.valid_every:
        return config.valid_every
    steps = config.steps + ADAPTER * config.adapter_steps
    frame = LEARN * config.sentences_per_clip
    frame += 0 if config.cache_features else ENCODE
    clips = config.clips_per_step(processes)
    step = clips * config.clip_frames * frame * steps / config.total_steps
    return _rounded_up(_work(config, held_out, chosen_sentences(config, held_out)) / (SHARE * step))


def _work(
    config: TrainConfig, held_out: Index, chosen: Mapping[str, Sequence[tuple[int, Expression]]]
) -> float:
    """Work of one validation: masks on some frames of a video, relevance on all."""
    total = 0.0
    for video_id, sentences in chosen.items():
        video = held_out.videos[video_id]
        compared = len(frames_compared(config, video))
        encoded = video.num_frames if config.reads_moments else compared
        total += ENCODE * encoded + SEGMENT * compared * len(sentences)
    return total


def _rounded_up(steps: float) -> int:
    """The next number with two digits that are not zero."""
    unit = 10 ** max(0, math.ceil(math.log10(max(steps, 1))) - _DIGITS)
    return math.ceil(steps / unit) * unit

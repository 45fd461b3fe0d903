"""CLIP, SigLIP and BLIP-2 as judges: similarities of crops and outlined frames with sentences.

The similarity s of a sentence with a track in a window is the mean over the window's frames of two
images: the object's crop, and the frame with its outline. With the model's own scale a (100 for
CLIP), the score of the window is

    sigmoid(a (s - n)) * exp(a (s - m))

n is the similarity of the neutral prompt that fits best: a track that fits the sentence no better
than "an object" is not meant, and where this is true of all tracks, the sentence has no target.
m is the highest similarity of the sentence with any of its tracks in this window, the track itself
included: the best track keeps its score, and look-alikes share it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stages.core.engine.runtime import Runtime
from stages.tools.select_moments.config import SelectConfig, source_name
from stages.tools.select_moments.judges.drawing import object_crop, outlined
from stages.tools.select_moments.judges.judge import Advance, Case, Scores, ScoringJudge
from stages.tools.select_moments.judges.looking import Plan
from stages.tools.select_moments.judges.windows import spread_windows
from stages.tools.select_moments.scorers import load_scorer

NEUTRAL = ("an object", "a photo of something", "the background", "a blurred photo")
"""Prompts that say nothing about an object."""
_BATCH = 32


class ImageTextJudge(ScoringJudge):
    """Judges tracks by the similarity of images with sentences.

    The images of a track's frame are encoded once for all sentences of the video, in batches over
    frames and tracks.

    Args:
        config: of the run.
        runtime: device and precision.

    Raises:
        TglError: as ``load_scorer``.
    """

    def __init__(self, config: SelectConfig, runtime: Runtime):
        super().__init__(config)
        self.source = source_name(config.model)
        self._scorer = load_scorer(config.model, runtime)

    def scores(self, case: Case, advance: Advance) -> Scores:
        """See ``ScoringJudge``."""
        plan = Plan.of(case, self._config)
        texts = list(dict.fromkeys(expression.text for expression in case.expressions))
        found = self._similarities(case, plan, [*texts, *NEUTRAL], advance)
        frames = np.zeros((len(case.pairs), case.video.num_frames))
        for row, expression in enumerate(case.expressions):
            numbers = [n for n, pair in enumerate(case.pairs) if pair.row == row]
            if not numbers:
                continue
            own = np.stack([found[case.pairs[number].anno_id] for number in numbers])  # (K, W, S)
            similar = own[:, :, texts.index(expression.text)]
            neutral = own[:, :, len(texts) :].max(axis=2)
            windows = window_scores(similar, neutral, self._scorer.scale)
            spread = spread_windows(windows, plan.windows, case.video.num_frames)
            for number, values in zip(numbers, spread, strict=True):
                frames[number] = values * case.visible(case.pairs[number].anno_id)
        return Scores(frames)

    def _similarities(
        self, case: Case, plan: Plan, texts: Sequence[str], advance: Advance
    ) -> dict[str, np.ndarray]:
        """(W, S) mean similarities of each track's windows with S texts; NaN where it is hidden."""
        sentences = self._scorer.encode(texts)
        frames: dict[tuple[str, int], np.ndarray] = {}
        keys: list[tuple[str, int]] = []
        images: list[np.ndarray] = []

        def flush() -> None:
            if images:
                values = self._scorer.score(images, sentences)  # (2 n, S): crop, outlined, ...
                frames.update(zip(keys, values.reshape(len(keys), 2, -1).mean(axis=1), strict=True))
                keys.clear()
                images.clear()

        for look in plan.looks(case):
            for name, mask in look.masks.items():
                keys.append((name, look.frame))
                images += [
                    object_crop(look.pixels, mask),
                    outlined(look.pixels, mask, square=True),
                ]
                if len(images) >= _BATCH:
                    flush()
            advance(1)
        flush()
        nothing = np.full(len(texts), np.nan)
        return {
            name: np.stack(
                [
                    np.mean(known, axis=0) if known else nothing
                    for known in (
                        [frames[name, f] for f in own if (name, f) in frames] for own in windows
                    )
                ]
            )
            for name, windows in plan.samples.items()
        }


def window_scores(similar: np.ndarray, neutral: np.ndarray, scale: float) -> np.ndarray:
    """Scores of the windows of a sentence's K tracks; see the module's docstring.

    Args:
        similar: (K, W) similarities with the sentence; NaN where a track is not visible.
        neutral: (K, W) highest similarities with a neutral prompt.
        scale: a.

    Returns:
        (K, W) from 0 to 1, or NaN.
    """
    best = np.fmax.reduce(similar, axis=0)  # (W,)
    margin = np.clip(scale * (similar - neutral), -_FARTHEST, _FARTHEST)
    return np.exp(scale * (similar - best)) / (1 + np.exp(-margin))


_FARTHEST = 500.0
"""Margins beyond this are equal to it, for want of larger numbers."""

"""Further sentences that share the frames of a clip: which ones, and what they say of relevance.

The frames are drawn for one sentence, by a law under which their timing says nothing about *its*
relevance. Its companions' moments had no say in where the clip lies, and moments are more often
late than early, so a place of the clip could tell whether it is relevant. Their frames are
therefore weighted: the rate at which a companion's frame is relevant is computed for every place
of every pattern, and frames of either label count so much more or less that, over all companions of
an index, every place is relevant at the rate of the law.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np

from stages.train.data.law import ClipLaw

MOST_WEIGHT = 4.0
"""Of one frame: a place that is hardly ever relevant must not hang on a few sentences."""
_MOST_FRAMES = 200_000
"""Frames of the sentences that the rates are computed from, in evenly spaced videos."""


def choose_companions(
    fitting: np.ndarray, targeted: np.ndarray, wanted: int, rng: np.random.Generator
) -> list[int]:
    """Choose among the other sentences of a video at random, without repetition.

    A sentence with a target and no relevant frame in the clip does not fit: no frame would be
    guided, and nothing would be remembered. Another one with a target takes its place, so that
    sentences without target come no more often than they are among the others.

    Args:
        fitting: bool (n,), the sentence has a relevant frame in the clip.
        targeted: bool (n,), it has a target.

    Returns:
        at most `wanted` numbers of sentences, fewer where too few fit.
    """
    order = rng.permutation(len(targeted))
    waiting = {
        True: iter(order[(fitting & targeted)[order]]),
        False: iter(order[~targeted[order]]),
    }
    chosen = (next(waiting[bool(targeted[number])], None) for number in order[:wanted])
    return [int(number) for number in chosen if number is not None]


@dataclass(frozen=True)
class VideoSentences:
    """The sentences of a video.

    Attributes:
        relevant: bool (S, num_frames), t in M+.
        targeted: bool (S,), the sentence has a target.
    """

    relevant: np.ndarray
    targeted: np.ndarray


@dataclass(frozen=True)
class CompanionBalance:
    """Weights of the frames of companions in the relevance loss.

    Attributes:
        law: by which the clips are drawn.
        rates: float64 (P, T), the rate at which a companion is relevant at each place of each
            pattern.
    """

    law: ClipLaw
    rates: np.ndarray

    @staticmethod
    def fit(videos: Sequence[VideoSentences], law: ClipLaw, wanted: int) -> CompanionBalance:
        """Compute the rates over all clips and companions of an index.

        Args:
            wanted: companions of a clip.
        """
        frames = law.rules.frames
        suited = [v for v in videos if len(v.targeted) > 1 and v.relevant.shape[1] >= frames]
        relevant, counted = np.zeros(law.patterns.shape), np.zeros(len(law.patterns))
        for video in _thinned(suited):
            chances = law.pattern_chances(video.relevant.shape[1])
            for number in np.flatnonzero(chances):
                places, count = _expected(video, law, int(number), wanted)
                relevant[number] += chances[number] * places
                counted[number] += chances[number] * count
        known = counted > 0
        rates = np.where(known[:, None], relevant / counted.clip(min=1e-9)[:, None], law.rate)
        return CompanionBalance(law, rates)

    def weights(self, frames: np.ndarray, relevant: np.ndarray) -> np.ndarray:
        """Float32 (T,): the weights of a companion's frames.

        Args:
            frames: int (T,) of the clip. A video that is shorter than it has weights of 1: all its
                frames are there, in one order.
            relevant: bool (T,), their labels.
        """
        number = self.law.pattern_of(frames)
        if number is None:
            return np.ones(len(frames), np.float32)
        wanted = np.where(relevant, self.law.rate, 1 - self.law.rate)
        found = np.where(relevant, self.rates[number], 1 - self.rates[number])
        return (wanted / found.clip(min=1e-9)).clip(max=MOST_WEIGHT).astype(np.float32)


def _expected(
    video: VideoSentences, law: ClipLaw, number: int, wanted: int
) -> tuple[np.ndarray, float]:
    """Expected companions of a video's clips with one pattern, each sentence drawn once.

    Returns:
        how many are relevant at each place, float64 (T,), and how many there are.
    """
    pattern = law.patterns[number]
    every = np.arange(video.relevant.shape[1] - pattern[-1])
    labels = video.relevant[:, every[:, None] + pattern]  # (S, O, T)
    fitting = video.targeted[:, None] & labels.any(axis=2)  # (S, O)
    together, fit = (labels * fitting[:, :, None]).sum(axis=0), fitting.sum(axis=0)
    relevant, counted = np.zeros(len(pattern)), 0.0
    for sentence, targeted in enumerate(video.targeted):
        offsets, odds = law.odds(video.relevant[sentence], number)
        chance = odds / odds.sum()
        others = len(video.targeted) - 1
        with_target = int(video.targeted.sum() - targeted)
        taken, without = _numbers_taken(others, with_target, wanted)
        left = (fit - fitting[sentence])[offsets]  # (O,) others that fit
        shown = together - labels[sentence] * fitting[sentence, :, None]  # (O, T) relevant ones
        each = chance * taken[left] / left.clip(min=1)  # (O,) chance that a given one is taken
        relevant += each @ shown[offsets]
        counted += float(chance @ taken[left]) + without
    return relevant, counted


@lru_cache(maxsize=1024)
def _numbers_taken(others: int, targeted: int, wanted: int) -> tuple[np.ndarray, float]:
    """Expected companions of :func:`choose_companions`.

    Returns:
        with a target, where 0, 1, ... ``targeted`` of them fit, float64 (targeted + 1,), and
        without.
    """
    places = min(wanted, others)
    counts = np.arange(targeted + 1)
    without = others - targeted
    ways = [comb(targeted, k) * comb(without, places - k) if k <= places else 0 for k in counts]
    chances = np.array(ways) / comb(others, places)
    taken = np.minimum(counts[:, None], counts) @ chances
    return taken, places * without / others


def _thinned(videos: Sequence[VideoSentences]) -> Sequence[VideoSentences]:
    """Every n-th of the videos, so that few enough frames remain."""
    step = -(-sum(video.relevant.size for video in videos) // _MOST_FRAMES)
    return videos[:: max(1, step)]

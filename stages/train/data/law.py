"""The law of training clips around a moment: their timing says nothing about relevance.

A clip is a pattern of gaps, laid over the video at an offset. The pattern is drawn first, by a rule
that looks at the length of the video alone. Among the offsets, those with the wanted numbers of
relevant frames are preferred, each number equally; then every place of the clip has a weight for
being relevant. The weights are the ones for which, over all sentences of an index, every place of
every pattern is relevant equally often: whoever knows the gaps and the place of a frame knows
nothing about its relevance.

Moments that end with their video can never have irrelevant frames behind them, so no rule for a
single sentence can do this. The weights therefore balance the sentences against each other, each
of which keeps its turn: among all laws over the offsets with these place rates, this one is nearest
to the preference (it maximises the entropy relative to it, an exponential family), and its weights
are the minimum of a convex function with as many unknowns as the clip has frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.train.data.clips import ClipRules, sample_generator, stretch

IRREGULAR = 32
"""Number of patterns with irregular gaps; their spans grow geometrically."""
WIDEST_SHARE = 0.75
"""Of a video's frames, the most that a pattern may span: the rest is the choice of its offset."""
TOLERANCE = 0.002
"""Largest difference between a place's rate and the wanted one in a balanced pattern."""
LARGEST_WEIGHT = 8.0
"""A logit. A pattern that needs larger ones is left out: it would show the same few offsets only.
Stride 1 stays, balanced as far as these weights go."""
_PATTERN_SEED = 0
_MOST_FRAMES = 200_000
"""Frames of the sentences that the weights are fitted on, evenly spaced in the index."""
_ITERATIONS = 40
_LONGEST_STEP = 2.0
_RIDGE = 1e-6


@dataclass(frozen=True)
class ClipLaw:
    """Draws clips around moments.

    Attributes:
        rules: lengths, strides and the wanted relevant frames.
        patterns: int64 (P, T), places of a clip's frames relative to its first.
        regular: bool (P,), patterns with one stride; the others have irregular gaps.
        weights: float64 (P, T), logits that each place adds to an offset where it is relevant.
        imbalance: largest difference between the rate at which a place is relevant and `rate`.
        rate: at which every place of every pattern is relevant.
    """

    rules: ClipRules
    patterns: np.ndarray
    regular: np.ndarray
    weights: np.ndarray
    imbalance: float
    rate: float

    @staticmethod
    def fit(moments: Sequence[np.ndarray], rules: ClipRules) -> ClipLaw:
        """Fit the weights to the moments of an index.

        Args:
            moments: bool (num_frames,) of each sentence, t in M+; each is drawn equally often.
            rules: of the clips.
        """
        patterns, regular = clip_patterns(rules)
        moments = _thinned([m for m in moments if len(m) >= rules.frames])
        if not moments:  # every clip repeats all frames of its video
            return ClipLaw(rules, patterns[:1], regular[:1], np.zeros((1, rules.frames)), 0.0, 0.0)
        fits = [_Fit.of(moments, pattern, rules) for pattern in patterns]
        rate = float(fits[0].rates(np.zeros(rules.frames)).mean())
        solved = [fit.solve(rate) for fit in fits]
        kept = [row for row, (_, error) in enumerate(solved) if row == 0 or error <= TOLERANCE]
        return ClipLaw(
            rules,
            patterns[kept],
            regular[kept],
            np.stack([solved[row][0] for row in kept]),
            max(solved[row][1] for row in kept),
            rate,
        )

    def draw(self, relevant: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw the frames of a clip.

        Args:
            relevant: bool (num_frames,), t in M+; all equal where the sentence has no moment.

        Returns:
            int64 (T,), ascending; a video shorter than the clip repeats frames evenly.
        """
        length = len(relevant)
        if length < self.rules.frames:
            return stretch(np.arange(length), self.rules.frames)
        number = self._pattern(length, rng)
        offsets, odds = self.odds(relevant, number)
        summed = odds.cumsum()
        offset = offsets[np.searchsorted(summed, rng.random() * summed[-1], side="right")]
        return self.patterns[number] + offset

    def odds(self, relevant: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Offsets of a pattern in a video that it fits: int64 (O,), and their odds, float64 (O,).

        Args:
            relevant: as in :meth:`draw`.
            number: of the pattern.
        """
        offsets, labels, prior = _offsets(relevant, self.patterns[number], self.rules)
        logits = prior + labels @ self.weights[number]
        return offsets, np.exp(logits - logits.max())

    def pattern_chances(self, length: int) -> np.ndarray:
        """Float64 (P,): the chance of each pattern in a video of `length` frames.

        They sum to 1, or are 0 where the video is shorter than a clip.
        """
        fitting = _fits(self.patterns, length)
        shares = {False: self.rules.spread, True: 1 - self.rules.spread}
        kinds = {kind: fitting & (self.regular == kind) for kind in shares}
        chances = np.zeros(len(fitting))
        for kind, fits in kinds.items():
            alone = not kinds[not kind].any()
            chances[fits] = (1.0 if alone else shares[kind]) / max(1, fits.sum())
        return chances

    def pattern_of(self, frames: np.ndarray) -> int | None:
        """The number of the pattern that drew `frames`; None if the video was too short for any."""
        found = np.flatnonzero((self.patterns == frames - frames[0]).all(axis=1))
        return int(found[0]) if len(found) else None

    def _pattern(self, length: int, rng: np.random.Generator) -> int:
        """Draw the number of a pattern for a video of some length."""
        fitting = _fits(self.patterns, length)
        irregular = rng.random() < self.rules.spread
        wanted = np.flatnonzero(fitting & (self.regular != irregular))
        wanted = wanted if len(wanted) else np.flatnonzero(fitting)
        return int(wanted[rng.integers(len(wanted))])


def clip_patterns(rules: ClipRules) -> tuple[np.ndarray, np.ndarray]:
    """The patterns of a clip's gaps: one of each stride, then irregular ones.

    The irregular ones span up to twice the widest strided one.

    Returns:
        int64 (P, T) places relative to the first, which is stride 1, and bool (P,) regular.
    """
    steps = np.arange(rules.frames)
    patterns = [steps * stride for stride in range(1, rules.max_stride + 1)]
    rng = sample_generator(_PATTERN_SEED)
    widest = 2 * rules.max_stride * (rules.frames - 1)
    if rules.spread and rules.frames > 2:  # with two frames, every pattern is regular
        for last in np.geomspace(rules.frames, widest, IRREGULAR).astype(int):
            inner = rng.choice(np.arange(1, last), rules.frames - 2, replace=False)
            patterns.append(np.concatenate([[0], np.sort(inner), [last]]))
    regular = np.arange(len(patterns)) < rules.max_stride
    return np.stack(patterns).astype(np.int64), regular


@dataclass(frozen=True)
class _Fit:
    """All offsets of one pattern in the videos of S sentences, O together.

    Attributes:
        labels: float64 (O, T), 1 where a place is relevant.
        prior: float64 (O,) logarithm of the preference for an offset within its sentence.
        first: int (S,) row of each sentence's first offset.
        owner: int (O,) the sentence of each offset.
    """

    labels: np.ndarray
    prior: np.ndarray
    first: np.ndarray
    owner: np.ndarray

    @staticmethod
    def of(moments: Sequence[np.ndarray], pattern: np.ndarray, rules: ClipRules) -> _Fit:
        """Take the sentences whose videos the pattern fits."""
        fitting = [m for m in moments if _fits(pattern[None], len(m))[0]]
        parts = [_offsets(moment, pattern, rules) for moment in fitting]
        counts = [len(prior) for _, _, prior in parts]
        return _Fit(
            labels=np.concatenate([labels for _, labels, _ in parts] or [np.zeros((0, 1))]),
            prior=np.concatenate([prior for _, _, prior in parts] or [np.zeros(0)]),
            first=np.cumsum([0, *counts])[:-1],
            owner=np.repeat(np.arange(len(parts)), counts),
        )

    def rates(self, weights: np.ndarray) -> np.ndarray:
        """Rate (T,) at which each place is relevant, over all sentences."""
        return self._expected(weights)[1].mean(axis=0)

    def solve(self, rate: float) -> tuple[np.ndarray, float]:
        """Find the weights (T,) with which every place is relevant at a rate, by Newton's method.

        Returns:
            them, and the largest difference from the rate that is left.
        """
        weights = np.zeros(self.labels.shape[1])
        if not len(self.first):
            return weights, 1.0
        for _ in range(_ITERATIONS):
            chance, expected = self._expected(weights)
            gradient = expected.mean(axis=0) - rate
            if np.abs(gradient).max() < TOLERANCE / 10:
                break
            second = (self.labels * chance[:, None]).T @ self.labels - expected.T @ expected
            second = second / len(expected) + _RIDGE * np.eye(len(weights))
            step = np.linalg.solve(second, gradient)
            weights = weights - step * min(1.0, _LONGEST_STEP / np.abs(step).max())
            if np.abs(weights).max() > 2 * LARGEST_WEIGHT:
                break  # no weights balance it
        weights = weights.clip(-LARGEST_WEIGHT, LARGEST_WEIGHT)
        return weights, float(np.abs(self.rates(weights) - rate).max())

    def _expected(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Chance of each offset (O,), and the expected labels of each sentence (S, T)."""
        logits = self.prior + self.labels @ weights
        chance = np.exp(logits - np.maximum.reduceat(logits, self.first)[self.owner])
        chance /= np.add.reduceat(chance, self.first)[self.owner]
        return chance, np.add.reduceat(chance[:, None] * self.labels, self.first)


def _fits(patterns: np.ndarray, length: int) -> np.ndarray:
    """Bool (P,): the patterns (P, T) that a video's length leaves a choice of offsets for.

    Stride 1 fits wherever a clip does.
    """
    last = patterns[:, -1]
    narrowest = last == patterns.shape[1] - 1
    return (last < length) & (narrowest | (last < WIDEST_SHARE * length))


def _offsets(
    relevant: np.ndarray, pattern: np.ndarray, rules: ClipRules
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets of a pattern in a video, with preferences that do not look at the place.

    Every number of relevant frames in the wanted range is equally likely, and so are the offsets
    with the same number. If no offset has a wanted number, the nearest number is taken.

    Returns:
        int (O,) offsets, float64 (O, T) labels, float64 (O,) logarithm of their preference.
    """
    offsets = np.arange(len(relevant) - pattern[-1])
    labels = relevant[offsets[:, None] + pattern]
    number = labels.sum(axis=1)
    low, high = rules.relevant_range
    missed = np.abs(number - number.clip(low, high))
    kept = missed == missed.min()
    number = number[kept]
    alike = np.bincount(number)[number]
    prior = -np.log(alike * len(np.unique(number)))
    return offsets[kept], labels[kept].astype(np.float64), prior


def _thinned(moments: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """Every n-th of the sentences, so that few enough frames remain."""
    step = -(-sum(map(len, moments)) // _MOST_FRAMES)
    return moments[:: max(1, step)]

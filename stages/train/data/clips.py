"""Drawing the frames of a training clip: pure functions of a seeded generator, without torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_HALF = 0.5


@dataclass(frozen=True)
class ClipRules:
    """Rules for drawing frames.

    Attributes:
        frames: T, the length of every clip.
        relevant: n+, the middle of the range of how many of them lie in the moment.
        max_stride: widest step between neighbours of a strided run.
        spread: share of the clips with irregular gaps instead of a strided run.
    """

    frames: int
    relevant: int
    max_stride: int
    spread: float

    @property
    def relevant_range(self) -> tuple[int, int]:
        """Fewest and most relevant frames of a clip, both included; n+ lies in the middle."""
        return max(1, 2 * self.relevant - self.frames), min(self.frames, 2 * self.relevant - 1)


def sample_generator(seed: int, *words: int) -> np.random.Generator:
    """A generator that depends on the seed and the words alone, not on the process or the time."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))


def random_clip(num_frames: int, rules: ClipRules, rng: np.random.Generator) -> np.ndarray:
    """Draw the frames of a clip regardless of moments.

    Returns:
        int64 (T,), ascending; a video shorter than the clip repeats frames evenly.
    """
    stride, spread = int(rng.integers(1, rules.max_stride + 1)), bool(rng.random() < rules.spread)
    everything = np.arange(num_frames)
    return stretch(_draw(everything, rules.frames, stride, spread, rng), rules.frames)


def draw_run(rules: ClipRules, rng: np.random.Generator) -> np.ndarray:
    """Draw the places of a run of frames, as a moment would have them; bool (T,).

    Its length is drawn from the range of n+. It may begin before the clip or end after it, so that
    every place belongs to it equally often; at least one frame lies in the clip.
    """
    low, high = rules.relevant_range
    length = int(rng.integers(low, high + 1))
    first = int(rng.integers(1 - length, rules.frames))
    places = np.arange(rules.frames)
    return (places >= first) & (places < first + length)


def move_borders(relevant: np.ndarray, chance: float, rng: np.random.Generator) -> np.ndarray:
    """Move borders between relevant and irrelevant frames, as a wrong route would.

    A border moves either way by 1 to T - 1 places, so that the frames next to it change most often;
    some frames far from every border do too.

    Args:
        relevant: bool (T,).
        chance: of each border to move.

    Returns:
        bool (T,); if no frame were left, one of those that were given.
    """
    moved = relevant.copy()
    for border in np.flatnonzero(np.diff(relevant)) + 1:
        if rng.random() >= chance:
            continue
        places = int(rng.integers(1, len(relevant)))
        if rng.random() < _HALF:
            moved[border : border + places] = relevant[border - 1]
        else:
            moved[max(0, border - places) : border] = relevant[border]
    if relevant.any() and not moved.any():
        moved[rng.choice(np.flatnonzero(relevant))] = True
    return moved


def stretch(frames: np.ndarray, length: int) -> np.ndarray:
    """Repeat `frames` evenly, in order, if they are fewer than `length`; int64 (length,)."""
    if len(frames) >= length:
        return frames
    return frames[np.arange(length) * len(frames) // length]


def _draw(
    pool: np.ndarray, count: int, stride: int, spread: bool, rng: np.random.Generator
) -> np.ndarray:
    """Draw `count` frames of `pool` (all if there are fewer), ascending."""
    count = min(count, len(pool))
    if spread:
        return np.sort(rng.choice(pool, count, replace=False))
    if count > 1:
        stride = min(stride, (len(pool) - 1) // (count - 1))
    start = int(rng.integers(0, len(pool) - stride * (count - 1)))
    return pool[start : start + stride * (count - 1) + 1 : stride]

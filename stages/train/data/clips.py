"""Drawing the frames of a training clip: pure functions of a seeded generator, without torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClipRules:
    """Rules for drawing frames.

    Attributes:
        frames: T, the length of every clip.
        relevant: n+, how many of them lie in the moment; the rest (n-) lie outside.
        max_stride: widest step between neighbours of a strided run.
        spread: share of the clips whose frames come from anywhere instead of a run.
    """

    frames: int
    relevant: int
    max_stride: int
    spread: float


def sample_generator(seed: int, *words: int) -> np.random.Generator:
    """A generator that depends on the seed and the words alone, not on the process or the time."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))


def random_clip(num_frames: int, rules: ClipRules, rng: np.random.Generator) -> np.ndarray:
    """Draw the frames of a clip regardless of moments.

    Returns:
        int64 (T,), ascending; a video shorter than the clip repeats frames evenly.
    """
    stride, spread = _manner(rules, rng)
    everything = np.arange(num_frames)
    return stretch(_draw(everything, rules.frames, stride, spread, rng), rules.frames)


def moment_clip(relevant: np.ndarray, rules: ClipRules, rng: np.random.Generator) -> np.ndarray:
    """Draw n+ frames of the moment and n- frames outside it (paper, section 3).

    The relevant frames are a strided run through the list of relevant frames, so that a clip
    usually meets one span; the others lie around it at the same stride, or anywhere. If the video
    has too few frames of one kind, the clip has more of the other.

    Args:
        relevant: bool (num_frames,), t in M+; at least one is true.

    Returns:
        int64 (T,), ascending; a video shorter than the clip repeats frames evenly.
    """
    inside, outside = np.flatnonzero(relevant), np.flatnonzero(~relevant)
    if not len(inside):
        raise ValueError("a moment clip needs a relevant frame")
    stride, spread = _manner(rules, rng)
    wanted = max(min(rules.relevant, len(inside)), rules.frames - len(outside))
    chosen = _draw(inside, min(wanted, len(inside)), stride, spread=False, rng=rng)
    missing = min(rules.frames - len(chosen), len(outside))
    if spread:
        others = rng.choice(outside, missing, replace=False) if missing else outside[:0]
    else:
        others = _around(outside, chosen, missing, stride, rng)
    return stretch(np.sort(np.concatenate([chosen, others])), rules.frames)


def stretch(frames: np.ndarray, length: int) -> np.ndarray:
    """Repeat `frames` evenly, in order, if they are fewer than `length`; int64 (length,)."""
    if len(frames) >= length:
        return frames
    return frames[np.arange(length) * len(frames) // length]


def _manner(rules: ClipRules, rng: np.random.Generator) -> tuple[int, bool]:
    """Draw the stride of the clip, and whether its frames come from anywhere."""
    return int(rng.integers(1, rules.max_stride + 1)), bool(rng.random() < rules.spread)


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


def _around(
    outside: np.ndarray,
    relevant: np.ndarray,
    count: int,
    stride: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw `count` irrelevant frames at `stride` before, between and after the relevant ones.

    The number of frames before is drawn; if a side has too few, the other has more.
    """
    before = outside[outside < relevant[0]][::-1]  # nearest first
    after = outside[outside > relevant[0]]
    number = int(rng.integers(0, count + 1))
    number = min(max(number, count - len(after)), len(before))
    return np.concatenate(
        [_strided(before, number, stride), _strided(after, count - number, stride)]
    )


def _strided(pool: np.ndarray, count: int, stride: int) -> np.ndarray:
    """The first `count` of `pool` at `stride`, or at the widest stride that has so many."""
    if count > 1:
        stride = min(stride, (len(pool) - 1) // (count - 1))
    return pool[: stride * (count - 1) + 1 : stride] if count else pool[:0]

"""Clips around moments: their timing must not give the label away."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from stages.train.config import TrainConfig
from stages.train.data.clips import ClipRules, random_clip, sample_generator, stretch
from stages.train.data.law import ClipLaw, clip_patterns

ROOT = Path(__file__).parents[4]
CLIPS = 2000
MOST_AUC = 0.55
MOST_DIFFERENCE = 0.03
"""Between the rates at which two places of a clip are relevant."""
RULES = ClipRules(frames=8, relevant=4, max_stride=3, spread=0.5)

Draw = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def span(length: int, *spans: tuple[int, int]) -> np.ndarray:
    inside = np.zeros(length, dtype=bool)
    for start, end in spans:
        inside[start:end] = True
    return inside


def toy_rules() -> ClipRules:
    """The rules of the toy training, from the file of its options."""
    words = shlex.split((ROOT / "examples/toy/train.options").read_text())
    given = dict(zip(words[::2], words[1::2], strict=True))
    config = TrainConfig()
    return ClipRules(
        int(given.get("--clip-frames", config.clip_frames)),
        int(given.get("--relevant-frames", config.relevant_frames)),
        int(given.get("--max-stride", config.max_stride)),
        float(given.get("--spread", config.spread)),
    )


def default_rules() -> ClipRules:
    config = TrainConfig()
    return ClipRules(config.clip_frames, config.relevant_frames, config.max_stride, config.spread)


def short_videos(rng: np.random.Generator) -> list[np.ndarray]:
    """Moments like those of the toy set: 24 frames, late and short, a sixth without target."""
    moments = []
    for _ in range(600):
        length = int(rng.integers(4, 13))
        start = int(rng.triangular(1, 16, 24)) if rng.random() < 0.7 else int(rng.integers(1, 8))
        end = min(24, start + length)
        moments.append(span(24, *([] if rng.random() < 1 / 6 else [(start, end)])))
    return moments


def long_videos(rng: np.random.Generator) -> list[np.ndarray]:
    """Moments of videos of 20 to 150 frames: late, long and whole ones, some in two spans."""
    moments = []
    for _ in range(400):
        length = int(rng.integers(20, 150))
        kind = rng.random()
        if kind < 0.35:
            moments.append(np.full(length, kind > 0.05))  # 5 % without target, 30 % whole
            continue
        start = int(length * rng.beta(2, 2))
        spans = [(start, start + max(2, int(length * rng.beta(1, 3))))]
        if kind > 0.8:
            spans.append((0, int(length * 0.1)))
        moments.append(span(length, *spans))
    return moments


def clips_around_moments(rules: ClipRules) -> Draw:
    """The law that this one replaced: n+ frames in a row, the others around them or anywhere."""

    def draw(relevant: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        inside, outside = np.flatnonzero(relevant), np.flatnonzero(~relevant)
        if not len(inside):
            return random_clip(len(relevant), rules, rng)
        count = min(len(inside), max(rules.relevant, rules.frames - len(outside)), rules.frames)
        first = int(rng.integers(len(inside) - count + 1))
        chosen = inside[first : first + count]
        missing = min(rules.frames - count, len(outside))
        if rng.random() < rules.spread:
            others = rng.choice(outside, missing, replace=False)
        else:
            others = outside[np.argsort(np.abs(outside - chosen.mean()))[:missing]]
        return stretch(np.sort(np.concatenate([chosen, others])), rules.frames)

    return draw


def drawn(
    moments: Sequence[np.ndarray], draw: Draw, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames (n, T), labels (n, T) and sentences (n,) of clips, each sentence equally often."""
    rng = sample_generator(7)
    owners = np.arange(count) % len(moments)
    clips = np.stack([draw(moments[owner], rng) for owner in owners])
    labels = np.stack([moments[owner][clip] for owner, clip in zip(owners, clips, strict=True)])
    return clips, labels, owners


def timing_auc(clips: np.ndarray, labels: np.ndarray, owners: np.ndarray) -> float:
    """Held-out AUC of relevance from all gaps of the clip and the place of the frame alone."""
    count, length = clips.shape
    gaps = np.log1p(np.diff(clips, axis=1))[:, None].repeat(length, axis=1)  # (n, T, T - 1)
    place = np.broadcast_to(np.eye(length), (count, length, length))
    seen = torch.tensor(np.concatenate([gaps, place], axis=2)).float()
    truth = torch.tensor(labels).float()
    held = torch.tensor(owners % 3 == 0)
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(seen.shape[2], 48), nn.GELU(), nn.Linear(48, 48), nn.GELU(), nn.Linear(48, 1)
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, weight_decay=0.01)
    inputs, wanted = seen[~held].flatten(0, 1), truth[~held].flatten()
    for _ in range(250):
        batch = torch.randint(len(inputs), (1024,))
        loss = F.binary_cross_entropy_with_logits(network(inputs[batch])[:, 0], wanted[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        score = network(seen[held].flatten(0, 1))[:, 0].numpy()
    return auc(score, labels[held.numpy()].reshape(-1))


def auc(score: np.ndarray, label: np.ndarray) -> float:
    """Area under the ROC curve; equal scores count half."""
    _, group, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[group]
    positive = label.sum()
    above = rank[label].sum() - positive * (positive + 1) / 2
    return float(above / (positive * (len(label) - positive)))


def every_index() -> list[tuple[list[np.ndarray], ClipRules]]:
    short, long = short_videos(np.random.default_rng(0)), long_videos(np.random.default_rng(1))
    return [(short, toy_rules()), (short, default_rules()), (long, default_rules())]


@pytest.mark.parametrize("number", range(3))
def test_gaps_and_places_say_nothing_about_relevance(number: int) -> None:
    moments, rules = every_index()[number]
    law = ClipLaw.fit(moments, rules)
    assert timing_auc(*drawn(moments, law.draw, CLIPS)) <= MOST_AUC
    rates = drawn(moments, law.draw, 4 * CLIPS)[1].mean(axis=0)
    assert np.ptp(rates) <= MOST_DIFFERENCE
    assert 0.25 < rates.mean() < 0.75
    assert law.imbalance <= MOST_DIFFERENCE


@pytest.mark.parametrize("number", range(3))
def test_the_law_before_fails_the_same_check(number: int) -> None:
    moments, rules = every_index()[number]
    clips, labels, owners = drawn(moments, clips_around_moments(rules), CLIPS)
    assert timing_auc(clips, labels, owners) > 0.75
    assert np.ptp(labels.mean(axis=0)) > 0.2


def test_windows_from_anywhere_fail_it_too() -> None:
    moments, rules = every_index()[1]
    labels = drawn(moments, lambda m, rng: random_clip(len(m), rules, rng), CLIPS)[1]
    assert np.ptp(labels.mean(axis=0)) > 0.15


def test_the_number_of_relevant_frames_varies_and_meets_the_moment() -> None:
    moments = [m for m in short_videos(np.random.default_rng(2)) if m.any()]
    numbers = drawn(moments, ClipLaw.fit(moments, RULES).draw, CLIPS)[1].sum(axis=1)
    assert set(numbers) == set(range(1, 8))
    assert np.bincount(numbers)[1:].min() > 0.02 * CLIPS


def test_patterns_do_not_depend_on_the_moment() -> None:
    """Two videos of one length have equally many clips of each pattern, whatever their moments."""
    moments = long_videos(np.random.default_rng(3))
    law = ClipLaw.fit(moments, RULES)
    found = []
    for moment in (span(60, (3, 9)), span(60, (20, 55)), span(60)):
        clips = [law.draw(moment, sample_generator(1, n)) for n in range(150)]
        found.append([tuple(np.diff(clip)) for clip in clips])
    assert found[0] == found[1] == found[2]
    assert len(set(found[0])) > 20


def test_a_clip_of_two_spans_often_meets_only_one() -> None:
    """Otherwise object-level selective supervision would have nothing to select."""
    moment = span(60, (5, 15), (40, 50))
    law = ClipLaw.fit([moment, span(60, (20, 45))], ClipRules(8, 4, 1, spread=0.5))
    clips = [law.draw(moment, sample_generator(s)) for s in range(50)]
    one = [moment[c][c < 15].any() != moment[c][c >= 40].any() for c in clips]
    assert np.mean(one) > 0.9


@pytest.mark.parametrize("length", [1, 3, 7, 8, 9, 11])
@pytest.mark.parametrize("seed", range(3))
def test_short_videos_fill_a_clip_in_order(length: int, seed: int) -> None:
    moment = span(length, (0, 1))
    frames = ClipLaw.fit([moment], RULES).draw(moment, sample_generator(seed))
    assert len(frames) == RULES.frames
    assert (np.diff(frames) >= 0).all()
    assert 0 <= frames.min() <= frames.max() < length
    assert len(set(frames.tolist())) == min(length, RULES.frames)


def test_moments_that_no_law_can_balance_are_reported() -> None:
    """Every moment is the end of its video: the last place cannot be as often irrelevant."""
    law = ClipLaw.fit([span(20, (16, 20))] * 10, RULES)
    assert law.imbalance > 0.05
    assert np.isfinite(law.weights).all()
    assert len(law.draw(span(20, (16, 20)), sample_generator(0))) == RULES.frames


@pytest.mark.parametrize("frames", [1, 2, 3, 8, 16])
def test_patterns_ascend_from_zero(frames: int) -> None:
    patterns, regular = clip_patterns(ClipRules(frames, 1, 2, 0.5))
    assert (patterns[:, 0] == 0).all()
    assert (np.diff(patterns, axis=1) > 0).all()
    assert patterns[0].tolist() == list(range(frames))
    assert all(len(set(np.diff(pattern))) <= 1 for pattern in patterns[regular])

"""Companions of a clip's sentence: whom they are, and that their timing says nothing either."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from stages.train.config import TrainInputs
from stages.train.data.clips import ClipRules, sample_generator
from stages.train.data.companions import (
    MOST_WEIGHT,
    CompanionBalance,
    VideoSentences,
    choose_companions,
)
from stages.train.data.dataset import ClipDataset
from stages.train.data.law import ClipLaw

RULES = ClipRules(frames=8, relevant=4, max_stride=3, spread=0.5)
CLIPS = 8000
WANTED = 2
MOST_DIFFERENCE = 0.03
"""Between the rates at which two places of a clip are relevant."""


def late_videos(count: int = 120) -> list[VideoSentences]:
    """Videos of 24 to 60 frames with five sentences each, moments mostly late, one without target.

    Two sentences are about the beginning and the end, so that clips of one seldom meet the other.
    """
    rng = np.random.default_rng(4)
    videos = []
    for _ in range(count):
        length = int(rng.integers(24, 60))
        relevant = np.zeros((5, length), bool)
        for row in range(4):
            start = int(length * (0.05 if row == 0 else rng.beta(4, 2)))
            relevant[row, start : start + max(3, int(length * rng.beta(2, 4)))] = True
        videos.append(VideoSentences(relevant, np.array([True] * 4 + [False])))
    return videos


@pytest.fixture(scope="module")
def videos() -> list[VideoSentences]:
    return late_videos()


@pytest.fixture(scope="module")
def law(videos: list[VideoSentences]) -> ClipLaw:
    return ClipLaw.fit([row for video in videos for row in video.relevant], RULES)


Companions = list[tuple[np.ndarray, np.ndarray, bool]]


@pytest.fixture(scope="module")
def companions(videos: list[VideoSentences], law: ClipLaw) -> Companions:
    """Frames, labels and whether there is a target, of the companions of many clips."""
    return list(_companions(videos, law))


def _companions(
    videos: list[VideoSentences], law: ClipLaw
) -> Iterator[tuple[np.ndarray, np.ndarray, bool]]:
    rng = sample_generator(11)
    for number in range(CLIPS):
        video = videos[number % len(videos)]
        drawn = number // len(videos) % len(video.targeted)
        frames = law.draw(video.relevant[drawn], rng)
        others = [row for row in range(len(video.targeted)) if row != drawn]
        fitting = video.relevant[others][:, frames].any(axis=1)
        for chosen in choose_companions(fitting, video.targeted[others], WANTED, rng):
            row = others[chosen]
            yield frames, video.relevant[row][frames], bool(video.targeted[row])


def test_places_and_gaps_say_nothing_about_the_relevance_of_companions(
    videos: list[VideoSentences], law: ClipLaw, companions: Companions
) -> None:
    """Unweighted, a companion's later places are relevant more often; weighted, all are alike."""
    balance = CompanionBalance.fit(videos, law, WANTED)
    shape = len(law.patterns), RULES.frames
    plain, relevant, weighed = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    met = np.zeros(len(law.patterns))
    for frames, labels, _ in companions:
        weight = balance.weights(frames, labels)
        assert weight.max() < MOST_WEIGHT
        number = law.pattern_of(frames)
        plain[number] += labels
        relevant[number] += weight * labels
        weighed[number] += weight
        met[number] += 1
    unweighted, rates = plain.sum(axis=0) / met.sum(), relevant.sum(axis=0) / weighed.sum(axis=0)
    assert np.ptp(unweighted) > 5 * MOST_DIFFERENCE
    assert np.abs(rates - law.rate).max() <= MOST_DIFFERENCE / 2
    often = met > 1000  # what a pattern's own rates can be known of
    assert often.sum() >= 2
    assert np.abs((relevant / weighed)[often] - law.rate).max() <= 2 * MOST_DIFFERENCE
    assert np.abs(weighed[often] / met[often, None] - 1).max() <= 2 * MOST_DIFFERENCE


def test_the_computed_rates_are_those_of_drawn_companions(
    videos: list[VideoSentences], law: ClipLaw, companions: Companions
) -> None:
    balance = CompanionBalance.fit(videos, law, WANTED)
    found: dict[int, list[np.ndarray]] = {}
    for frames, labels, _ in companions:
        number = law.pattern_of(frames)
        assert number is not None
        found.setdefault(number, []).append(labels)
    often = [number for number, labels in found.items() if len(labels) > 1000]
    for number in often:
        drawn = np.mean(found[number], axis=0)
        assert np.abs(drawn - balance.rates[number]).max() < 2 * MOST_DIFFERENCE


def test_sentences_without_target_come_as_often_as_they_are(companions: Companions) -> None:
    """One in five of all places; taking any that fits would take them more often."""
    targets = np.array([target for _, _, target in companions])
    assert (~targets).sum() / (CLIPS * WANTED) == pytest.approx(0.2, abs=0.01)
    assert targets.sum() / (CLIPS * WANTED) > 0.5  # in the other places too few fit


@pytest.mark.parametrize("wanted", [0, 1, 3, 9])
def test_companions_fit_and_are_distinct(wanted: int) -> None:
    fitting = np.array([True, False, True, False, False, False])
    targeted = np.array([True, True, True, False, False, True])
    met = set()
    for seed in range(60):
        chosen = choose_companions(fitting, targeted, wanted, sample_generator(seed))
        assert len(set(chosen)) == len(chosen) <= min(wanted, 4)
        assert not {1, 5} & set(chosen)  # with a target that the clip does not show
        met |= set(chosen)
    assert met == ({0, 2, 3, 4} if wanted else set())
    assert wanted != 9 or len(chosen) == 4  # all that fit


def test_one_companion_without_any_that_fits() -> None:
    nothing = np.zeros(3, bool)
    assert choose_companions(nothing, ~nothing, 1, sample_generator(0)) == []


def test_short_videos_and_places_of_no_rate_have_bounded_weights(law: ClipLaw) -> None:
    ones = np.ones(8, bool)
    never = CompanionBalance(law, np.zeros_like(law.patterns, dtype=float))
    assert (never.weights(np.arange(8), ones) == MOST_WEIGHT).all()
    assert (never.weights(np.array([0, 0, 1, 1, 2, 2, 3, 3]), ones) == 1).all()


def test_patterns_have_the_chances_with_which_they_are_drawn(law: ClipLaw) -> None:
    for length in (5, 12, 30, 59):
        chances = law.pattern_chances(length)
        assert chances.sum() == pytest.approx(0.0 if length < RULES.frames else 1.0)
        if length < RULES.frames:
            continue
        rng, nothing = sample_generator(length), np.zeros(length, bool)
        drawn = [law.pattern_of(law.draw(nothing, rng)) for _ in range(3000)]
        share = np.bincount(np.array(drawn, dtype=int), minlength=len(chances)) / len(drawn)
        assert np.abs(share - chances).max() < 0.03


def test_samples_carry_the_weights(inputs: TrainInputs) -> None:
    """Of all clips, each place of the companions has the law's rate of relevant weight."""
    from train_mini import SIZE, small

    config = small(flip=0.0, sentences_per_clip=3, spread=0.0, max_stride=1)
    data = ClipDataset(inputs.index, inputs.text, config, size=SIZE, target_side=16)
    relevant, weighed = np.zeros(config.clip_frames), np.zeros(config.clip_frames)
    for number in range(400):
        for other in data.clip(number, number)[1:]:
            relevant += (other.weight * other.relevant).numpy()
            weighed += other.weight.numpy()
    assert np.abs(relevant / weighed - data.law.rate).max() < 0.1

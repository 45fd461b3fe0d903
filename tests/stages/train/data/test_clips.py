"""Frames of a clip: counts, order, reach."""

import numpy as np
import pytest

from stages.train.data.clips import ClipRules, moment_clip, random_clip, sample_generator, stretch

RULES = ClipRules(frames=8, relevant=4, max_stride=3, spread=0.5)


def relevant(num_frames: int, *spans: tuple[int, int]) -> np.ndarray:
    inside = np.zeros(num_frames, dtype=bool)
    for start, end in spans:
        inside[start:end] = True
    return inside


@pytest.mark.parametrize("seed", range(40))
def test_moment_clip_has_its_share_of_both_kinds(seed: int) -> None:
    inside = relevant(60, (20, 33), (50, 55))
    frames = moment_clip(inside, RULES, sample_generator(seed))
    assert len(frames) == RULES.frames
    assert inside[frames].sum() == RULES.relevant
    assert (np.diff(frames) > 0).all()


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_few_relevant_frames_are_all_taken_and_others_fill_up(spread: float) -> None:
    rules = ClipRules(8, 4, 3, spread)
    frames = moment_clip(relevant(30, (28, 30)), rules, sample_generator(0))
    assert {28, 29} <= set(frames.tolist())
    assert len(set(frames.tolist())) == rules.frames


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_few_irrelevant_frames_are_all_taken_and_relevant_ones_fill_up(spread: float) -> None:
    rules = ClipRules(8, 4, 3, spread)
    frames = moment_clip(relevant(30, (0, 28)), rules, sample_generator(1))
    assert {28, 29} <= set(frames.tolist())
    assert len(set(frames.tolist())) == rules.frames


@pytest.mark.parametrize("num_frames", [1, 3, 7, 8, 9])
@pytest.mark.parametrize("seed", range(5))
def test_short_videos_repeat_frames_in_order(num_frames: int, seed: int) -> None:
    for frames in (
        random_clip(num_frames, RULES, sample_generator(seed)),
        moment_clip(relevant(num_frames, (0, 1)), RULES, sample_generator(seed)),
    ):
        assert len(frames) == RULES.frames
        assert (np.diff(frames) >= 0).all()
        assert 0 <= frames.min() <= frames.max() < num_frames
        assert len(set(frames.tolist())) == min(num_frames, RULES.frames)


def test_a_run_keeps_one_stride() -> None:
    rules = ClipRules(8, 4, 3, spread=0.0)
    steps = {tuple(set(np.diff(random_clip(100, rules, sample_generator(s))))) for s in range(60)}
    assert steps == {(1,), (2,), (3,)}


def test_random_clips_reach_every_frame() -> None:
    met = {f for s in range(200) for f in random_clip(30, RULES, sample_generator(s)).tolist()}
    assert met == set(range(30))


def test_a_moment_clip_of_two_spans_often_meets_only_one() -> None:
    """Otherwise object-level selective supervision would have nothing to select."""
    inside = relevant(60, (5, 15), (40, 50))
    rules = ClipRules(8, 4, 1, spread=0.5)
    clips = [moment_clip(inside, rules, sample_generator(s)) for s in range(50)]
    one = [((c < 15) & inside[c]).any() != ((c >= 40) & inside[c]).any() for c in clips]
    assert np.mean(one) > 0.6


def test_a_clip_without_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="relevant frame"):
        moment_clip(np.zeros(5, dtype=bool), RULES, sample_generator(0))


def test_stretch_spreads_evenly() -> None:
    assert stretch(np.array([3, 7]), 5).tolist() == [3, 3, 3, 7, 7]
    assert stretch(np.array([1, 2, 3]), 2).tolist() == [1, 2, 3]


def test_the_generator_depends_on_seed_and_words_alone() -> None:
    draws = {tuple(sample_generator(s, w).integers(0, 100, 4)) for s in (0, 1) for w in (0, 1)}
    assert len(draws) == 4
    again = sample_generator(1, 0).integers(0, 100, 4)
    assert (again == sample_generator(1, 0).integers(0, 100, 4)).all()

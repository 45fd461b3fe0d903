"""Frames of a clip drawn from the whole video: counts, order, reach."""

import numpy as np
import pytest

from stages.train.data.clips import (
    ClipRules,
    draw_run,
    move_borders,
    random_clip,
    sample_generator,
    stretch,
)

RULES = ClipRules(frames=8, relevant=4, max_stride=3, spread=0.5)


@pytest.mark.parametrize("num_frames", [1, 3, 7, 8, 9])
@pytest.mark.parametrize("seed", range(5))
def test_short_videos_repeat_frames_in_order(num_frames: int, seed: int) -> None:
    frames = random_clip(num_frames, RULES, sample_generator(seed))
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


def test_a_drawn_run_takes_every_place_equally_often() -> None:
    runs = np.stack([draw_run(RULES, sample_generator(s)) for s in range(4000)])
    assert (np.abs(np.diff(runs.astype(int), axis=1)).sum(axis=1) <= 2).all()  # one run
    assert set(runs.sum(axis=1)) == set(range(1, 8))
    assert np.ptp(runs.mean(axis=0)) < 0.04


@pytest.mark.parametrize(
    ("relevant", "expected"), [(4, (1, 7)), (1, (1, 1)), (6, (4, 8)), (8, (8, 8))]
)
def test_the_range_of_relevant_frames_lies_around_its_middle(
    relevant: int, expected: tuple[int, int]
) -> None:
    assert ClipRules(8, relevant, 3, 0.5).relevant_range == expected


def test_stretch_spreads_evenly() -> None:
    assert stretch(np.array([3, 7]), 5).tolist() == [3, 3, 3, 7, 7]
    assert stretch(np.array([1, 2, 3]), 2).tolist() == [1, 2, 3]


def test_the_generator_depends_on_seed_and_words_alone() -> None:
    draws = {tuple(sample_generator(s, w).integers(0, 100, 4)) for s in (0, 1) for w in (0, 1)}
    assert len(draws) == 4
    again = sample_generator(1, 0).integers(0, 100, 4)
    assert (again == sample_generator(1, 0).integers(0, 100, 4)).all()


def test_moved_borders_route_frames_wrongly_near_them_most() -> None:
    relevant = np.array([0, 0, 0, 0, 1, 1, 1, 1], dtype=bool)
    moved = np.stack([move_borders(relevant, 1.0, sample_generator(s)) for s in range(2000)])
    wrong = (moved != relevant).mean(axis=0)
    assert (np.diff(wrong[:4]) > 0).all()
    assert (np.diff(wrong[4:]) < 0).all()
    assert 0 < wrong[0] < wrong[3] < 0.6
    assert moved.any(axis=1).all()


def test_borders_move_as_often_as_told() -> None:
    middle = np.arange(40) >= 20
    assert (move_borders(middle, 0.0, sample_generator(0)) == middle).all()
    kept = [(move_borders(middle, 0.3, sample_generator(s)) == middle).all() for s in range(900)]
    assert 0.66 < np.mean(kept) < 0.74
    whole = np.ones(6, dtype=bool)
    assert (move_borders(whole, 1.0, sample_generator(0)) == whole).all()

"""Augmentations never make a sentence false."""

import numpy as np
import pytest

from stages.train.data.augment import ColourChange, mirrored_sentence, names_colour


@pytest.mark.parametrize(
    ("sentence", "mirrored"),
    [
        ("the cat jumping to the left", "the cat jumping to the right"),
        ("Right-most dog, then the LEFT one", "Left-most dog, then the RIGHT one"),
        ("two birds flying rightwards", "two birds flying leftwards"),
        ("the wheel spinning clockwise", "the wheel spinning counterclockwise"),
        ("the wheel spinning counterclockwise", "the wheel spinning clockwise"),
        ("the wheel spinning anti-clockwise", "the wheel spinning clockwise"),
        ("left-facing horse", "right-facing horse"),
        ("a bright copyright sign", "a bright copyright sign"),
        ("an elephant drinking", "an elephant drinking"),
    ],
)
def test_left_and_right_change_places(sentence: str, mirrored: str) -> None:
    assert mirrored_sentence(sentence) == mirrored


@pytest.mark.parametrize(
    ("sentence", "named"),
    [
        ("the red car", True),
        ("The Grey-haired man", True),
        ("a reddish fish", True),
        ("the car being covered", False),
        ("the tanker", False),
    ],
)
def test_colour_words_are_found(sentence: str, named: bool) -> None:
    assert names_colour(sentence) is named


def test_colours_change_the_whole_clip_alike() -> None:
    frames = np.tile(np.arange(0, 240, 10, dtype=np.uint8)[:, None], (2, 1, 3))[..., None, :]
    frames = frames.reshape(2, -1, 1, 3)
    changed = ColourChange(1.2, 1.0, 1.0).apply(frames)
    assert (changed[0] == changed[1]).all()
    assert changed.dtype == np.uint8
    assert (changed[..., 0] == np.clip(np.rint(frames[..., 0] * 1.2), 0, 255)).mean() > 0.95
    assert (ColourChange(1.0, 1.0, 1.0).apply(frames) == frames).all()


def test_no_strength_is_no_change() -> None:
    rng = np.random.default_rng(0)
    assert ColourChange.draw(0.0, rng) == ColourChange(1.0, 1.0, 1.0)

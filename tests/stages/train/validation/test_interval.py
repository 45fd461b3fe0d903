"""Validations that cost at most a share of the work, by counting."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from stages.core.index.index import Expression, Index, Video
from stages.train.config import TrainConfig
from stages.train.validation.interval import SHARE, validation_interval

VIDEOS, FRAMES, SENTENCES = 50, 80, 16
TRAIN_STEP = 56.2
"""TFLOP of a step of 4 clips of 8 frames with SAM 2.1 base-plus at 1024 px (docs/training.md)."""
ENCODE, SEGMENT = 0.65, 0.4
"""TFLOP of a frame, and of a frame of a sentence over the whole of a video (benchmarks/cost.py)."""


@pytest.fixture
def valid_u() -> Index:
    """An index of the size of MeViS valid_u."""
    names = tuple(map(str, range(FRAMES)))
    videos = {
        str(v): Video(str(v), FRAMES, 1080, 1920, None, names, ".jpg", Path())
        for v in range(VIDEOS)
    }
    index = Index.__new__(Index)
    index.videos = videos
    index.expressions = [
        Expression(v, str(s), f"sentence {s}", (), ("1",)) for v in videos for s in range(SENTENCES)
    ]
    return index


def test_the_share_of_the_arithmetic_stays_below_the_limit(valid_u: Index) -> None:
    every = validation_interval(TrainConfig(), valid_u, 1)
    spent = VIDEOS * FRAMES * ENCODE + 100 * 32 * SEGMENT
    assert SHARE / 2 < spent / (every * TRAIN_STEP) < SHARE
    assert every == int(f"{every:.1e}".split("e")[0].replace(".", "")) * 10 ** (len(str(every)) - 2)


def test_the_interval_follows_the_work_and_nothing_else(valid_u: Index) -> None:
    config = TrainConfig()
    every = validation_interval(config, valid_u, 1)
    shared = validation_interval(dataclasses.replace(config, batch=1), valid_u, 4)
    assert shared == every
    assert validation_interval(config, valid_u, 8) == pytest.approx(every / 8, rel=0.06)
    fewer = dataclasses.replace(config, valid_expressions=10, valid_frames=8)
    assert validation_interval(fewer, valid_u, 1) < every / 3
    several = dataclasses.replace(config, sentences_per_clip=3)
    assert validation_interval(several, valid_u, 1) == pytest.approx(every / 2.2, rel=0.06)
    adapter = dataclasses.replace(config, adapter_steps=config.steps)
    assert validation_interval(adapter, valid_u, 1) == pytest.approx(every / 0.625, rel=0.06)
    blind = dataclasses.replace(config, sampling="random", mdp=False, oss=False)
    assert validation_interval(blind, valid_u, 1) < every
    assert validation_interval(dataclasses.replace(config, valid_every=7), valid_u, 1) == 7

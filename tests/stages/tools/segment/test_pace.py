"""A long run is noticed by its first frames, and told once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.tools.segment.config import SegmentConfig
from stages.tools.segment.pace import PacedProgress, paced
from stages.tools.segment.pipeline import Pipeline

ADVICE = ("--every 4", "a smaller --tracker")


class Clock:
    """A clock that a test winds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(seconds: float, units: int, *, load: float = 0, name: str = "track") -> list[str]:
    """The notes of a task of some units, each of which takes some seconds."""
    shown, clock = SilentProgress(), Clock()
    paced = PacedProgress(shown, ("ground", "track"), ADVICE, clock)
    with paced.task(name, units, "frame") as task:
        clock.now += load
        for _ in range(units):
            clock.now += seconds
            task.advance()
    return shown.notes


@pytest.mark.parametrize(
    ("seconds", "units", "notes"),
    [
        (5, 100, []),
        (6.1, 100, ["about 10 min in all; faster: --every 4, a smaller --tracker"]),
        (25, 100, ["about 42 min in all; faster: --every 4, a smaller --tracker"]),
        (60, 1000, ["about 16.7 h in all; faster: --every 4, a smaller --tracker"]),
        (600, 2, []),  # nothing is known before the second one
    ],
)
def test_what_takes_long_is_told_once(seconds: float, units: int, notes: list[str]) -> None:
    assert run(seconds, units) == notes


def test_loading_is_counted_once() -> None:
    assert run(2, 100, load=150) == []
    assert run(2, 100, load=450) == ["about 11 min in all; faster: --every 4, a smaller --tracker"]


def test_time_before_the_task_counts_and_other_tasks_do_not() -> None:
    assert run(60, 100, name="render") == []
    shown, clock = SilentProgress(), Clock()
    paced = PacedProgress(shown, ("ground", "track"), ADVICE, clock)
    for name in ("ground", "track"):
        with paced.task(name, 100, "frame") as task:
            for _ in range(100):
                clock.now += 4
                task.advance()
    assert shown.notes == ["about 13 min in all; faster: --every 4, a smaller --tracker"]


def test_a_better_total_is_taken() -> None:
    shown, clock = SilentProgress(), Clock()
    with PacedProgress(shown, ("track",), ADVICE, clock).task("track", 1000, "frame") as task:
        task.expect(20)
        for _ in range(20):
            clock.now += 10
            task.advance()
    assert shown.notes == []


def test_without_advice_nothing_is_said() -> None:
    shown, clock = SilentProgress(), Clock()
    with PacedProgress(shown, ("track",), (), clock).task("track", 1000, "frame") as task:
        for _ in range(5):
            clock.now += 10
            task.advance()
    assert shown.notes == []


def test_lines_pass() -> None:
    shown = SilentProgress()
    paced = PacedProgress(shown, ("track",), ADVICE)
    paced.warn("a")
    paced.note("b")
    assert (shown.warnings, shown.notes) == (["a"], ["b"])


@pytest.mark.parametrize(
    ("settings", "sentences", "advice"),
    [
        ({}, True, ["--image-size 512", "--every 4", "--max-tracks 6"]),
        ({}, False, ["--image-size 512", "--every 4"]),
        ({"image_size": 256, "every": 4, "max_tracks": 2}, True, []),
        ({"image_size": 1024, "every": 8, "tracker": "a/large-one"}, False,
         ["--image-size 512", "--tracker facebook/sam2.1-hiera-tiny"]),
    ],
)  # fmt: skip
def test_advice_is_what_is_not_done_yet(
    settings: dict[str, Any], sentences: bool, advice: list[str], tmp_path: Path, runtime: Runtime
) -> None:
    pipeline = Pipeline(tmp_path, runtime, SilentProgress())
    found = paced(pipeline, SegmentConfig(**settings), sentences=sentences).progress
    assert isinstance(found, PacedProgress)
    assert found.advice == advice

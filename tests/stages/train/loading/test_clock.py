"""The share of a step that the network waited for data, and what a user is told of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stages.train.loading.clock import Clock, waiting_advice


class Time:
    """A clock that goes forward when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def slow(time: Time, seconds: list[float]) -> Iterator[int]:
    for number, each in enumerate(seconds):
        time.now += each
        yield number


def test_waits_of_all_sources_are_a_share_of_the_step() -> None:
    time = Time()
    clock = Clock(time)
    batches = clock.waiting(slow(time, [1.0, 0.5]))
    windows = clock.waiting(slow(time, [0.25]))
    next(batches)
    time.now += 3.0
    assert clock.lap() == (4.0, 0.25)
    next(batches)
    assert next(windows) == 0
    time.now += 0.25
    assert clock.lap() == (1.0, 0.75)
    assert next(windows, None) is None
    time.now += 1.0
    assert clock.lap() == (1.0, 0.0)


def test_the_whole_run_is_judged_without_its_first_step() -> None:
    time = Time()
    clock = Clock(time)
    batches = clock.waiting(slow(time, [60.0] + [0.5] * 20))
    for _ in range(21):
        assert clock.waited is None
        next(batches)
        time.now += 1.5
        clock.lap()
    assert clock.waited == pytest.approx(0.25)


def test_an_error_of_a_source_is_not_swallowed() -> None:
    def broken() -> Iterator[int]:
        raise OSError("lost")
        yield 0

    with pytest.raises(OSError, match="lost"):
        next(Clock().waiting(broken()))


def test_the_user_is_told_what_to_change_when_the_network_waited() -> None:
    assert waiting_advice(None, 4, 8, cached=False) is None
    assert waiting_advice(0.1, 4, 8, cached=False) is None
    line = waiting_advice(0.31, 4, 8, cached=False)
    assert line is not None
    assert line.startswith("the network waited for data 31% of the time: ")
    for option in ("--workers (up to 8 here)", "--cache-features", "--sentences-per-clip"):
        assert option in line
    cached = waiting_advice(0.31, 8, 8, cached=True)
    assert cached is not None
    assert "--workers" not in cached
    assert "--cache-features" not in cached

"""The share of the time that validations take."""

from __future__ import annotations

import itertools

from stages.train.validation.share import ValidationTime


def test_the_share_is_that_of_all_validations_since_the_start() -> None:
    times = itertools.chain([0.0, 1.0], [60.0, 64.0], [80.0], [90.0, 96.0], itertools.repeat(100.0))
    clock = ValidationTime(lambda: next(times))
    assert clock.summary(5, 20) is None  # read at 1
    with clock.measuring():
        pass
    assert clock.seconds == 4
    assert clock.share == 4 / 80
    with clock.measuring():
        pass
    assert clock.seconds == 6
    assert clock.share == 0.1
    assert clock.summary(5, 20) == "validation took 10.0% of the time"


def test_a_large_share_comes_with_advice() -> None:
    times = itertools.chain([0.0], [10.0, 12.0], itertools.repeat(16.0))
    clock = ValidationTime(lambda: next(times))
    with clock.measuring():
        pass
    line = clock.summary(500, 1000)
    assert line is not None
    assert line.startswith("validation took 12.5% of the time: raise --valid-every (500 here)")
    short = clock.summary(500, 400)
    assert short is not None
    assert "--valid-every" not in short

"""Copies to a device run one batch ahead, and batches on the CPU are used as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from stages.train.loading.device_feed import copy_stream, on_device

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Numbered:
    """A batch."""

    number: int

    def to(self, device: torch.device) -> Numbered:
        return self

    def tensors(self) -> list[Tensor]:
        return []


class Recorded:
    """A stream that writes down what it is asked for."""

    def __init__(self, events: list[str]):
        self._events = events

    def start(self, batch: Numbered) -> Callable[[], Numbered]:
        self._events.append(f"start {batch.number}")

        def finish() -> Numbered:
            self._events.append(f"finish {batch.number}")
            return batch

        return finish


def batches(count: int, events: list[str]) -> Iterator[Numbered]:
    for number in range(count):
        events.append(f"fetch {number}")
        yield Numbered(number)


def test_the_next_copy_starts_before_a_batch_is_used() -> None:
    events: list[str] = []
    for batch in on_device(batches(3, events), CPU, Recorded(events)):
        events.append(f"use {batch.number}")
    assert events == [
        *("fetch 0", "start 0", "fetch 1", "start 1", "finish 0", "use 0"),
        *("fetch 2", "start 2", "finish 1", "use 1", "finish 2", "use 2"),
    ]


@pytest.mark.parametrize("count", [0, 1, 4])
def test_every_batch_comes_once_and_in_order(count: int) -> None:
    for copies in (None, Recorded([])):
        found = [batch.number for batch in on_device(batches(count, []), CPU, copies)]
        assert found == list(range(count))


def test_on_the_cpu_nothing_is_fetched_ahead() -> None:
    assert copy_stream(CPU) is None
    events: list[str] = []
    for batch in on_device(batches(2, events), CPU, None):
        events.append(f"use {batch.number}")
    assert events == ["fetch 0", "use 0", "fetch 1", "use 1"]


def test_an_error_comes_after_the_batches_before_it() -> None:
    """One batch is fetched ahead, so the last good one is not used: a resumed run makes it."""

    def failing() -> Iterator[Numbered]:
        yield Numbered(0)
        yield Numbered(1)
        raise OSError("lost")

    used = []
    with pytest.raises(OSError, match="lost"):
        for batch in on_device(failing(), CPU, Recorded([])):
            used.append(batch.number)
    assert used == [0]

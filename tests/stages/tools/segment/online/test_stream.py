"""Interrupts and running summaries of a stream."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from stages.tools.segment.online.stream import MOST_MOMENTS, SentenceSummary, stop_on_interrupt


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where a script ignores it for what it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_the_first_interrupt_asks_and_the_second_one_interrupts() -> None:
    with stop_on_interrupt() as asked:
        assert not asked()
        signal.raise_signal(signal.SIGINT)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_summary_lists_the_first_moments_and_counts_the_others() -> None:
    summary = SentenceSummary()
    for frame in range(3 * (MOST_MOMENTS + 4)):
        summary.add(frame, frame / 4, relevant=frame % 3 < 2, visible=frame % 3 == 0)
    assert summary.moments == [(3 * number, 3 * number + 2) for number in range(MOST_MOMENTS)]
    assert summary.seconds == [(start / 4, end / 4) for start, end in summary.moments]
    assert summary.more == 4
    assert summary.visible == MOST_MOMENTS + 4

"""What stands beside the bar of a stage that works job by job."""

from __future__ import annotations

from collections.abc import Iterator

from stages.core.engine.progress import counted


class Shown:
    """Keeps the figures, and how many results had been taken when they were shown."""

    def __init__(self) -> None:
        self.taken = 0
        self.figures: list[tuple[int, dict[str, float | str]]] = []

    def advance(self, n: int = 1, **figures: float | str) -> None:
        self.figures.append((self.taken, figures))

    def expect(self, total: int) -> None:
        raise AssertionError

    def results(self, number: int) -> Iterator[int]:
        for result in range(number):
            self.taken = result
            yield result


def test_the_job_that_is_worked_on_is_shown() -> None:
    task = Shown()
    assert list(counted(task.results(3), 3, task)) == [0, 1, 2]
    assert task.figures == [(0, {"video": "1/3"}), (0, {"video": "2/3"}), (1, {"video": "3/3"})]


def test_a_single_job_is_not_counted() -> None:
    task = Shown()
    assert list(counted(task.results(1), 1, task)) == [0]
    assert task.figures == []

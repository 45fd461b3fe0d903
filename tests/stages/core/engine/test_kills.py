"""SIGKILL at the steps that change the file system: OUT is the old artifact or the new one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from kill_bench import Bench
from killing import Step
from tiny_world import OUTPUTS, Job, TinyWorld, other_settings, snapshot
from toy_stage import COPY, CopyConfig, CopyInputs

from schemas.layouts import RECEIPT_FILE

EARLY_POINTS = 2
"""A real stage is killed where the first of so many parts of its work ends; `make test-slow` also
kills it before its first step and after its last one, as the copying stage is here."""


def work_of(job: Job) -> Callable[[Path], object]:
    """The stage as a bench runs it."""
    return lambda place: job.execute(place / "out")


def _receipt_step(steps: Sequence[Step]) -> int:
    """The step before which a stage has done all of its own work."""
    partial = f".{RECEIPT_FILE}.partial"
    return max(n for n, step in enumerate(steps) if step == Step("replace", partial))


def _telling(steps: Sequence[Step]) -> Iterator[int]:
    """Steps that move something; from the receipt on also the ends of removals."""
    moves = [step.call in ("exchange", "fsync", "rename", "replace") for step in steps]
    for number, move in enumerate(moves):
        removal = number > _receipt_step(steps) and any(moves[number - 1 : number + 2])
        if move or removal or number in (0, len(steps) - 1):
            yield number


KILLED_BY_THEIR_OWN_TESTS = ("train", "track")
"""Slow stages, whose own tests kill them in the middle of their work and compare what a rerun
makes; here they are killed there by `make test-slow` alone."""
STRIDE = 7
"""Publishing is the engine's, and the copying stage is killed at its every step; a real stage is
at each of them by `make test-slow` alone."""


@pytest.mark.parametrize(
    ("first", "exchange"),
    [(True, True), (False, True), (False, False)],
    ids=["first run", "replacement by exchange", "replacement by two renames"],
)
@pytest.mark.parametrize(
    "kill", [pytest.param(True, id="killed", marks=pytest.mark.slow), pytest.param(False, id="")]
)
def test_every_step_of_the_copying_stage(
    tmp_path: Path, source: Path, first: bool, exchange: bool, kill: bool
) -> None:
    """What a kill leaves is copied; `make test-slow` kills."""
    job, other = (Job(COPY, CopyConfig(times=times), CopyInputs(source)) for times in (1, 2))
    former = None if first else work_of(other)
    bench = Bench(tmp_path / "bench", work_of(job), former, exchange=exchange)
    points = [
        (number, over)
        for number, step in enumerate(bench.steps)
        for over in ((False, True) if step.call in ("rename", "replace", "exchange") else (False,))
    ]
    if kill:
        for number, over in points:
            when = "after" if over else "before"
            where = f"{when} step {number}, {' '.join(bench.steps[number])}"
            bench.check_kill(bench.start, number, after=over, where=where)
    else:
        bench.check_states(points)


@pytest.fixture
def bench(tiny_world: TinyWorld, tmp_path: Path) -> Callable[[str], Bench]:
    """`bench(stage)`: a real stage that replaces a copy of its artifact in the world.

    The folders lie as deep as the world's own.
    """

    def make(stage: str) -> Bench:
        def former(place: Path) -> None:
            shutil.copytree(tiny_world.root / OUTPUTS[stage], place / "out", symlinks=True)

        return Bench(tmp_path / "bench", work_of(other_settings(tiny_world, stage)), former)

    return make


@pytest.mark.usefixtures("stopped_clock")
@pytest.mark.parametrize("stage", OUTPUTS)
def test_each_stage(bench: Callable[[str], Bench], stage: str) -> None:
    made = bench(stage)
    last = _receipt_step(made.steps)
    if stage not in KILLED_BY_THEIR_OWN_TESTS:
        middle = last // EARLY_POINTS
        made.check_kill(made.start, middle, where=_where(made, middle))
    finished, steps = _finish(made, last)
    made.check_states([(number, False) for number in list(_telling(steps))[::STRIDE]], finished)


@pytest.mark.slow
@pytest.mark.usefixtures("stopped_clock")
@pytest.mark.parametrize("stage", OUTPUTS)
def test_every_step_of_each_stage(bench: Callable[[str], Bench], stage: str) -> None:
    made = bench(stage)
    last = _receipt_step(made.steps)
    for number in range(0, last, max(1, last // EARLY_POINTS)):
        made.check_kill(made.start, number, where=_where(made, number))
    finished, steps = _finish(made, last)
    for number in _telling(steps):
        made.check_kill(finished, number, where=f"{steps[number]} ({number}, resumed)")


def _where(made: Bench, number: int) -> str:
    return f"{made.steps[number]} ({number})"


def _finish(made: Bench, last: int) -> tuple[Path, list[Step]]:
    """Kill a stage when all of its own work is done.

    Returns:
        What that leaves, and the steps of a run that goes on from there.
    """
    made.restore(made.start)
    made.run(last)
    finished = made.root / "finished"
    shutil.copytree(made.place, finished, symlinks=True)
    steps = made.run()
    assert snapshot(made.place) == made.new
    return finished, steps

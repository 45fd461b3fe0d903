"""SIGKILL at the steps that change the file system: OUT is the old artifact or the new one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from kill_bench import Bench
from killing import Step
from tiny_world import OUTPUTS, Job, TinyWorld, other_settings
from toy_stage import COPY, CopyConfig, CopyInputs

from schemas.layouts import RECEIPT_FILE

EARLY_POINTS = 2
"""Steps before the receipt at which a real stage is killed, spread evenly."""


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


STRIDE = 7
"""Publishing is the engine's, and the copying stage is killed at its every step; a real stage is
at each of them by `make test-slow` alone."""


@pytest.mark.parametrize(
    ("first", "exchange"),
    [(True, True), (False, True), (False, False)],
    ids=["first run", "replacement by exchange", "replacement by two renames"],
)
def test_every_step_of_the_copying_stage(
    tmp_path: Path, source: Path, first: bool, exchange: bool
) -> None:
    job, other = (Job(COPY, CopyConfig(times=times), CopyInputs(source)) for times in (1, 2))
    former = None if first else work_of(other)
    bench = Bench(tmp_path / "bench", work_of(job), former, exchange=exchange)
    for number, step in enumerate(bench.steps):
        moves = step.call in ("rename", "replace", "exchange")
        for after in (False, True) if moves else (False,):
            where = f"{'after' if after else 'before'} step {number}, {step.call} {step.target}"
            bench.check_kill(bench.start, number, after=after, where=where)


@pytest.fixture
def bench(tiny_world: TinyWorld, tmp_path: Path) -> Callable[[str], Bench]:
    """`bench(stage)`: a real stage; its folders lie as deep as the world's own."""

    def make(stage: str) -> Bench:
        job, former = tiny_world.job(stage), other_settings(tiny_world, stage)
        return Bench(tmp_path / "bench", work_of(job), work_of(former))

    return make


@pytest.mark.usefixtures("stopped_clock")
@pytest.mark.parametrize("stage", OUTPUTS)
def test_each_stage(bench: Callable[[str], Bench], stage: str) -> None:
    kill_everywhere(bench(stage), stride=STRIDE)


@pytest.mark.slow
@pytest.mark.usefixtures("stopped_clock")
@pytest.mark.parametrize("stage", OUTPUTS)
def test_every_step_of_each_stage(bench: Callable[[str], Bench], stage: str) -> None:
    kill_everywhere(bench(stage), stride=1)


def kill_everywhere(made: Bench, stride: int) -> None:
    """Kill a stage at some steps of its work, and at every `stride`-th that publishes."""
    last = _receipt_step(made.steps)
    for number in range(0, last, max(1, last // EARLY_POINTS)):
        made.check_kill(made.start, number, where=f"{made.steps[number]} ({number})")
    made.restore(made.start)
    made.run(last)
    finished = made.root / "finished"
    shutil.copytree(made.place, finished, symlinks=True)
    steps = made.run()
    for number in list(_telling(steps))[::stride]:
        made.check_kill(finished, number, where=f"{steps[number]} ({number}, resumed)")

"""SIGKILL at the steps that change the file system: OUT is the old artifact or the new one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from killing import Step, run_in_child
from tiny_world import OUTPUTS, Job, TinyWorld, other_settings, snapshot
from toy_stage import COPY, CopyConfig, CopyInputs

from schemas import directories
from schemas.layouts import RECEIPT_FILE

EARLY_POINTS = 3
"""Steps before the receipt at which a real stage is killed, spread evenly."""


@dataclass
class Bench:
    """An old artifact and a run that replaces it, to be killed again and again.

    Attributes:
        place: the folder in which OUT lies, nothing else.
        old, new: what OUT holds before and after an undisturbed run.
    """

    root: Path
    job: Job
    former: Job | None
    exchange: bool = True

    def __post_init__(self) -> None:
        """Make the old and the new artifact."""
        self.place = self.root / "place"
        self.start = self.root / "start"
        self.start.mkdir(parents=True)
        if self.former is not None:
            run_in_child(lambda: self.former.execute(self.start / "out"))
        self.old = snapshot(self.start)
        self.restore(self.start)
        self.steps = self.run()
        self.new = snapshot(self.place)
        assert self.new != self.old

    @property
    def out(self) -> Path:
        return self.place / "out"

    def restore(self, state: Path) -> None:
        """Put the folder into a state that was kept."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(state, self.place, symlinks=True)

    def run(self, kill_at: int | None = None, *, after: bool = False) -> list[Step]:
        """Run the stage in a child, maybe to its death."""
        return run_in_child(
            lambda: self.job.execute(self.out),
            kill_at=kill_at,
            after=after,
            exchange=self.exchange,
        )

    def finish(self) -> None:
        """Run the stage to its end in this process."""
        if self.exchange:
            self.job.execute(self.out)
        else:
            with mock.patch.object(directories, "_renameat2", return_value=None):
                self.job.execute(self.out)

    def check_kill(self, state: Path, kill_at: int, *, after: bool, where: str) -> None:
        """Kill at a step: OUT is one or the other; the next run ends as if nothing had been."""
        self.restore(state)
        self.run(kill_at, after=after)
        left = _below(snapshot(self.place), "out")
        allowed = [_below(self.old, "out"), _below(self.new, "out")]
        if not self.exchange:
            allowed.append({})  # between two renames it waits under another name
        assert left in allowed, f"{where}: {_difference(left, allowed[-1])}"
        self.finish()
        found = snapshot(self.place)
        assert found == self.new, f"rerun after {where}: {_difference(found, self.new)}"


def _below(names: dict[str, str], top: str) -> dict[str, str]:
    return {name: state for name, state in names.items() if name.split("/")[0] == top}


def _difference(found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    return sorted(
        name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)
    )


def _receipt_step(steps: Sequence[Step]) -> int:
    """The step before which a stage has done all of its own work."""
    partial = f".{RECEIPT_FILE}.partial"
    return next(n for n, step in enumerate(steps) if step == Step("replace", partial))


def _telling(steps: Sequence[Step]) -> Iterator[int]:
    """Steps that move something; from the receipt on also the ends of removals."""
    moves = [step.call in ("exchange", "fsync", "rename", "replace") for step in steps]
    for number, move in enumerate(moves):
        removal = number > _receipt_step(steps) and any(moves[number - 1 : number + 2])
        if move or removal or number in (0, len(steps) - 1):
            yield number


STRIDE = 4
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
    former = None if first else Job(COPY, CopyConfig(times=2), CopyInputs(source))
    bench = Bench(tmp_path / "bench", Job(COPY, CopyConfig(), CopyInputs(source)), former, exchange)
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
        return Bench(tmp_path / "bench", job, former)

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
        made.check_kill(made.start, number, after=False, where=f"{made.steps[number]} ({number})")
    made.restore(made.start)
    made.run(last)
    finished = made.root / "finished"
    shutil.copytree(made.place, finished, symlinks=True)
    steps = made.run()
    for number in list(_telling(steps))[::stride]:
        made.check_kill(finished, number, after=False, where=f"{steps[number]} ({number}, resumed)")

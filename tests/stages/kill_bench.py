"""Outputs that are replaced by a run, which is killed at chosen steps and run again."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from killing import Step, run_in_child
from tiny_world import snapshot

Point = tuple[int, bool]
"""The number of a step, and whether it is over."""
WRITE_NOTHING = ("decode_", "tqdm_monitor")
"""Starts of the names of threads that read frames ahead or redraw a bar."""


@dataclass
class Bench:
    """Former outputs and a run that replaces them, to be killed again and again.

    Attributes:
        work: a run to its end, of the folder in which the outputs lie.
        former: the run that made the former outputs, if there are any.
        outputs: their names, in the order in which the run replaces them.
        exchange: whether the system can let two folders change places.
        varying: names whose content may depend on what was killed; they must exist all the same.
        place: the folder in which the outputs lie, nothing else.
        old, new: what it holds before and after an undisturbed run.
        steps: of the undisturbed run.
    """

    root: Path
    work: Callable[[Path], object]
    former: Callable[[Path], object] | None
    outputs: tuple[str, ...] = ("out",)
    exchange: bool = True
    varying: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Make the former and the new outputs."""
        self.place = self.root / "place"
        self.start = self.root / "start"
        self.start.mkdir(parents=True)
        self.place.mkdir()
        if self.former is not None:
            run_in_child(lambda: self.former(self.place))
        shutil.copytree(self.place, self.start, symlinks=True, dirs_exist_ok=True)
        self.old = snapshot(self.place)
        self.steps = self.run()
        self.new = snapshot(self.place)
        for name in self.outputs:
            assert _below(self.new, name) not in (_below(self.old, name), {}), name

    def restore(self, state: Path) -> None:
        """Put the folder into a state that was kept."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(state, self.place, symlinks=True)

    def run(self, kill_at: int | None = None, *, after: bool = False) -> list[Step]:
        """Do the run in a child, maybe to its death."""
        return run_in_child(
            lambda: self.work(self.place), kill_at=kill_at, after=after, exchange=self.exchange
        )

    def check_kill(self, state: Path, kill_at: int, *, after: bool = False, where: str) -> int:
        """Kill at a step: an output is old or new; the next run ends as if nothing had been.

        Returns:
            how many outputs were new; they are the first ones, as `outputs` orders them.
        """
        self.restore(state)
        self.run(kill_at, after=after)
        return self._check(where)

    def check_states(self, points: Collection[Point], state: Path | None = None) -> set[int]:
        """The same for what a kill at each of the points would leave behind, from one run.

        SIGKILL takes the process away and leaves the files as they are, so that a copy of them is
        what a kill at that moment leaves. Points that leave the same share one rerun. For steps
        beside which no other thread writes: the copy would not be of one moment.

        Args:
            state: what the folder holds before; by default the former outputs.

        Returns:
            how many outputs were new, in any of the cases.
        """
        kept = self.root / "kept"
        kept.mkdir()
        self.restore(state or self.start)

        def keep(number: int, over: bool) -> None:
            if (number, over) in points:
                _require_one_thread()
                shutil.copytree(self.place, kept / f"{number} {over:d}", symlinks=True)

        steps = run_in_child(lambda: self.work(self.place), exchange=self.exchange, watch=keep)
        found, met = set(), set()
        for number, over in sorted(points):
            left = kept / f"{number} {over:d}"
            if (same := tuple(_exactly(left))) not in met:
                met.add(same)
                shutil.rmtree(self.place)
                left.rename(self.place)
                when = "after" if over else "before"
                found.add(self._check(f"{when} step {number}, {' '.join(steps[number])}"))
        shutil.rmtree(kept)
        return found

    def _check(self, where: str) -> int:
        """Outputs are old or new, and a rerun ends as if nothing had been; how many are new."""
        left = snapshot(self.place)
        fresh = [self._is_new(left, name, where) for name in self.outputs]
        assert fresh == sorted(fresh, reverse=True), f"{where}: {fresh} of {self.outputs}"
        self.run()
        found = snapshot(self.place)
        found |= {name: self.new[name] for name in self.varying & found.keys()}
        assert found == self.new, f"rerun, killed {where}: {_difference(found, self.new)}"
        return sum(fresh)

    def _is_new(self, left: dict[str, str], name: str, where: str) -> bool:
        """Whether an output is the new one; else it is the old one, whole."""
        found, old, new = (_below(names, name) for names in (left, self.old, self.new))
        allowed = [old, new]
        if not self.exchange:
            allowed.append({})  # between two renames it waits under another name
        assert found in allowed, f"{where}: {_difference(found, new)}"
        return found == new


def _require_one_thread() -> None:
    beside = [thread.name for thread in threading.enumerate()[1:]]
    assert all(name.startswith(WRITE_NOTHING) for name in beside), f"they may write: {beside}"


def _exactly(root: Path) -> Iterator[object]:
    """All that a rerun could see of a folder: names, kinds, contents, times and attributes."""
    yield tuple(snapshot(root).items())
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        yield status.st_mode, status.st_mtime_ns
        names = () if path.is_symlink() else os.listxattr(path)
        yield tuple((name, os.getxattr(path, name)) for name in names)


def _below(names: dict[str, str], top: str) -> dict[str, str]:
    return {name: state for name, state in names.items() if name.split("/")[0] == top}


def _difference(found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    return sorted(
        name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)
    )

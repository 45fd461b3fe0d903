"""SIGKILL at the steps that change the file system: files and folders of a command, old or new."""

from __future__ import annotations

import errno
import importlib
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from kill_bench import Bench, Point
from killing import Step
from tiny_world import TinyWorld, tgl

from schemas.layouts import RECEIPT_FILE

MOVES = ("exchange", "rename", "replace")
LOADED = (
    *("tglcli.reference", "stages.tools.segment.offline", "stages.tools.segment.online.live"),
    *("stages.tools.segment.prompts.stage", "stages.tools.select_moments.stage"),
    *(f"stages.zero_shot.{name}.stage" for name in ("ground", "track", "assemble")),
    *("stages.tools.submit.writing", "stages.tools.export_moments.export"),
)


@dataclass(frozen=True)
class Command:
    """A command whose outputs are no artifact of a single stage.

    Attributes:
        arguments: of a world, the folder of the outputs, and whether the outputs are the new ones.
        outputs: names in the folder, in the order in which they appear.
    """

    arguments: Callable[[TinyWorld, Path, bool], list[object]]
    outputs: tuple[str, ...] = ("out",)

    def work(self, world: TinyWorld, *, new: bool) -> Callable[[Path], None]:
        """The command as a bench runs it."""

        def run(place: Path) -> None:
            code, _, said = tgl(*self.arguments(world, place, new))
            assert code == 0, said

        return run


def segment(world: TinyWorld, place: Path, new: bool) -> list[object]:
    """Overlay, masks and table of a video."""
    return [
        *("segment", world.video("b"), "the new one" if new else "the old one"),
        *("-o", place / "o.mp4", "--masks", place / "m", "--table", place / "t.parquet"),
        *("--checkpoint", world.model, "--device", "cpu", "--workers", 1),
    ]


def several(world: TinyWorld, place: Path, new: bool) -> list[object]:
    """The outputs of two videos."""
    return [
        *("segment", "the new one" if new else "the old one", "--format", "sheet"),
        *("--videos", world.video("a"), "--videos", world.video("b")),
        *("-o", place / "o", "--masks", place / "m", "--table", place / "t.parquet"),
        *("--checkpoint", world.model, "--device", "cpu", "--workers", 1),
    ]


def prompted(world: TinyWorld, place: Path, new: bool) -> list[object]:
    """The same outputs for an object that is prompted by hand."""
    return [
        *("segment", world.video("b"), "--point", "new:12,12" if new else "old:14,12"),
        *("-o", place / "o.mp4", "--masks", place / "m", "--table", place / "t.parquet"),
        *("--tracker", world.backbone, "--device", "cpu", "--workers", 1),
    ]


def zero_shot(world: TinyWorld, place: Path, new: bool) -> list[object]:
    """The same outputs for a sentence, without a checkpoint."""
    return [
        *("segment", world.video("b"), "the new one" if new else "the old one"),
        *("-o", place / "o.mp4", "--masks", place / "m", "--table", place / "t.parquet"),
        *("--model", world.detector, "--tracker", world.tracker, "--judge", "none"),
        *("--device", "cpu", "--workers", 1),
    ]


FILES = {
    "submit": Command(
        lambda world, place, new: [
            *("submit", world.preds if new else world.answers, "--out", place / "out"),
            *("--meta", world.dataset / "train" / "meta_expressions.json", "--workers", 1),
        ]
    ),
    "export-moments": Command(
        lambda world, place, new: [
            *("export-moments", world.index, place / "out"),
            *("--moments", (world.chosen if new else world.index) / "moments.parquet"),
        ]
    ),
    "score --report": Command(
        lambda world, place, new: [
            *("score", world.preds if new else world.answers, world.index),
            *("--report", place / "out", "--workers", 1),
        ]
    ),
}
SEGMENT = {
    "segment": Command(segment, ("m", "o.mp4", "t.parquet")),
    "segment --point": Command(prompted, ("m", "o.mp4", "t.parquet")),
    "segment --model": Command(zero_shot, ("m", "o.mp4", "t.parquet")),
    "segment --videos": Command(several, ("m", "o", "t.parquet")),
    "segment --online": Command(
        lambda *given: [*segment(*given), "--online"], ("m", "t.parquet", "o.mp4")
    ),
}


QUICK = ("segment", "segment --online")
"""What `make test` kills; the other ways end in the same steps."""


@pytest.fixture
def note(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> frozenset[str]:
    """Both ways to know a file that tgl wrote; the names of the notes beside it.

    A note tells the file's sum and that of the one before it, which may be a killed run's.
    """

    def unsupported(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    if request.param == "attribute":
        return frozenset()
    monkeypatch.setattr(os, "setxattr", unsupported)
    monkeypatch.setattr(os, "getxattr", unsupported)
    return frozenset({".out.tgl"})


MakeBench = Callable[..., Bench]


@pytest.fixture
def bench(tiny_world: TinyWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeBench:
    """`bench(command, varying=names)`: a command that replaces outputs of its own."""
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    for module in LOADED:  # once, not in every child
        importlib.import_module(module)
    tgl("--version")

    def make(command: Command, varying: frozenset[str] = frozenset()) -> Bench:
        work, former = (command.work(tiny_world, new=new) for new in (True, False))
        return Bench(tmp_path / "bench", work, former, command.outputs, varying=varying)

    return make


@pytest.mark.parametrize(
    ("name", "note"),
    [*((name, "attribute") for name in FILES), ("export-moments", "note")],
    indirect=["note"],
)
def test_a_single_file_is_old_or_new(bench: MakeBench, note: frozenset[str], name: str) -> None:
    made = bench(FILES[name], note)
    assert made.check_states(points(publishing(made.steps))) == {0, 1}
    made.run()  # what a killed run left is still known as tgl's own


@pytest.mark.slow
@pytest.mark.parametrize("note", ["attribute", "note"], indirect=True)
@pytest.mark.parametrize("name", FILES)
def test_a_single_file_at_every_step(bench: MakeBench, note: frozenset[str], name: str) -> None:
    made = bench(FILES[name], note)
    assert kill(made, range(len(made.steps))) == {0, 1}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in SEGMENT],
)
def test_outputs_of_segment_appear_one_after_the_other(bench: MakeBench, name: str) -> None:
    made = bench(SEGMENT[name])
    numbers = publishing(made.steps)
    assert kill(made, [numbers[0] // 2]) == {0}
    assert made.check_states(points(numbers)) == {0, 1, 2, 3}


@pytest.mark.slow
@pytest.mark.parametrize("name", SEGMENT)
def test_outputs_of_segment_at_every_step(bench: MakeBench, name: str) -> None:
    made = bench(SEGMENT[name])
    assert kill(made, range(len(made.steps))) == {0, 1, 2, 3}


def points(numbers: Iterable[int]) -> list[Point]:
    """The moments before some steps."""
    return [(number, False) for number in numbers]


def publishing(steps: Sequence[Step]) -> list[int]:
    """From the step at which the work is done: each move, each folder without its receipt, the end.

    A folder without its receipt is an artifact that is being removed.
    """
    first = next(number for number, step in enumerate(steps) if _ends_work(step))
    later = list(enumerate(steps))[first + 1 :]
    moves = [n for n, step in later if step.call in MOVES and not step.target.endswith(".partial")]
    unknown = [n + 1 for n, step in later if step == Step("unlink", RECEIPT_FILE)]
    return sorted({first, *moves, *unknown, len(steps) - 1})


def _ends_work(step: Step) -> bool:
    """Whether a step marks a file as tgl's, publishes, or takes away the work of the stages."""
    removes_work = step.call == "rename" and step.target.endswith(".segment")
    return step.call in ("exchange", "setxattr") or removes_work


def kill(made: Bench, numbers: Iterable[int]) -> set[int]:
    """Kill before some steps; how many of the outputs were new then, in any of the cases."""
    steps = made.steps
    return {
        made.check_kill(made.start, number, where=f"{steps[number]} ({number})")
        for number in sorted(numbers)
    }

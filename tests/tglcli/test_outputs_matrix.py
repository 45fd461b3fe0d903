"""No command replaces what is not its own: every command that writes, every place it must not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tiny_world import TinyWorld, states, tgl

from schemas.errors import OutputBlocked
from schemas.receipts import read_receipt

FOREIGN = "mine.txt"


@dataclass(frozen=True)
class Command:
    """A command that writes one output.

    Attributes:
        arguments: of a world and OUT.
        inputs: names below the world's root of what it reads.
        file: whether the output is a single file.
        other: another stage's artifact, which OUT may not replace.
        children: whether "a child of an input" means anything; of a video it does not.
    """

    arguments: Callable[[TinyWorld, Path], list[object]]
    inputs: tuple[str, ...]
    file: bool = False
    other: str = "answers"
    children: bool = True


COMMANDS = {
    "toy": Command(
        lambda world, out: [
            *("toy", out, "--size", 32, "--frames", 16, "--objects", 3, "--expressions", 1),
            *("--train-clips", 1, "--valid-clips", 0, "--dev-clips", 0, "--style", "plain"),
        ],
        (),
    ),
    "extract-frames": Command(
        lambda world, out: ["extract-frames", world.video("a"), world.video("b"), out],
        ("videos/a.mp4", "videos/b.mp4"),
        children=False,
    ),
    "build-moments": Command(
        lambda world, out: [
            *("build-moments", world.dataset / "train", out, "--frames", world.frames),
            *("--moments", world.dataset / "train" / "moments.json"),
        ],
        ("dataset/train", "frames"),
    ),
    "precompute-text": Command(
        lambda world, out: ["precompute-text", world.index, out, "--encoder", "hash"],
        ("index",),
    ),
    "train": Command(
        lambda world, out: [
            *("train", world.index, world.text, out, "--backbone", world.backbone),
            *("--valid", world.index, "--steps", 1, "--batch", 1, "--clip-frames", 3),
            *("--relevant-frames", 2, "--adapter-width", 16, "--adapter-layers", 1),
            *("--adapter-heads", 2, "--device", "cpu"),
        ],
        ("index", "text", "backbone", "frames", "frames/JPEGImages/a"),
    ),
    "propagate": Command(
        lambda world, out: [
            *("propagate", world.index, world.text, world.model, out, "--device", "cpu"),
            *("--moments", world.chosen / "moments.parquet"),
        ],
        ("index", "text", "model", "frames", "frames/JPEGImages/a", "chosen/moments.parquet"),
    ),
    "score": Command(
        lambda world, out: ["score", world.preds, world.index, "--out", out, "--images", 0],
        ("preds", "index"),
    ),
    "score --report": Command(
        lambda world, out: [
            *("score", world.preds, world.index, "--report", out, "--compare", world.scores)
        ],
        ("preds", "index", "scores"),
        file=True,
    ),
    "select-moments": Command(
        lambda world, out: ["select-moments", world.index, out, "--model", world.selector],
        ("index", "selector", "frames", "frames/JPEGImages/a"),
    ),
    "references": Command(
        lambda world, out: [
            *("references", world.index, out, "--objects", world.toy / "train" / "objects.json")
        ],
        ("index", "toy/train/objects.json"),
        other="chosen",
    ),
    "render": Command(
        lambda world, out: [
            *("render", world.preds, world.index, out, "--format", "sheet", "--cells", 1)
        ],
        ("preds", "index", "frames", "frames/JPEGImages/a"),
    ),
    "submit": Command(
        lambda world, out: [
            *("submit", world.preds, "--out", out, "--frames", world.frames),
            *("--meta", world.dataset / "train" / "meta_expressions.json"),
        ],
        ("preds", "frames", "dataset/train/meta_expressions.json"),
        file=True,
    ),
    "export-moments": Command(
        lambda world, out: [
            *("export-moments", world.index, out, "--moments", world.chosen / "moments.parquet")
        ],
        ("index", "chosen/moments.parquet"),
        file=True,
    ),
}


@pytest.fixture(scope="module")
def world(tiny_world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    """A world with things of the user's in it; nothing in it may ever change."""
    world = tiny_world.copy(tmp_path_factory.mktemp("matrix") / "world")
    (world.root / "foreign").mkdir()
    (world.root / "foreign" / FOREIGN).write_text("precious")
    (world.root / FOREIGN).write_text("precious")
    return world


@pytest.fixture(scope="module")
def before(world: TinyWorld) -> dict[str, tuple[int, ...]]:
    """The world as it was made."""
    return states(world.root)


def inputs(world: TinyWorld, command: Command) -> Iterator[Path]:
    """Each input itself."""
    yield from (world.root / name for name in command.inputs)


def parents(world: TinyWorld, command: Command) -> Iterator[Path]:
    """The folder of each input, and the one above it."""
    for name in command.inputs:
        yield (world.root / name).parent


def children(world: TinyWorld, command: Command) -> Iterator[Path]:
    """A new name in each input, and in a folder of it."""
    for name in command.inputs if command.children else ():
        yield world.root / name / "new"
        yield world.root / name / "new" / "deeper"


def others(world: TinyWorld, command: Command) -> Iterator[Path]:
    """An artifact of another stage; for a single file also a table in one."""
    yield world.root / command.other
    if command.file:
        yield world.root / "text" / "texts.parquet"


def foreign_folder(world: TinyWorld, command: Command) -> Iterator[Path]:
    """A folder that tgl did not make."""
    yield world.root / "foreign"


def foreign_file(world: TinyWorld, command: Command) -> Iterator[Path]:
    """A file that tgl did not write."""
    yield world.root / FOREIGN


PLACES = (inputs, parents, children, others, foreign_folder, foreign_file)
NEVER = (inputs, parents, children)
"""Places that --force does not open."""


def refuse(world: TinyWorld, command: Command, out: Path, *more: object) -> None:
    """The command ends with one line and the exit code of a blocked output."""
    code, printed, said = tgl(*command.arguments(world, out), *more)
    assert code == OutputBlocked.exit_code, f"{out}: {said}"
    assert printed == ""
    assert said.count("\n") == 1, said
    assert said.startswith("error: ")
    assert str(out) in said


@pytest.mark.parametrize("linked", [False, True], ids=["itself", "a link to it"])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_replaced(
    world: TinyWorld,
    before: dict[str, tuple[int, ...]],
    tmp_path: Path,
    name: str,
    place: Callable[[TinyWorld, Command], Iterator[Path]],
    linked: bool,
) -> None:
    command = COMMANDS[name]
    force = ["--force"] if place in NEVER else []
    for target in place(world, command):
        out = target
        if linked:
            out = tmp_path / "link"
            out.unlink(missing_ok=True)
            out.symlink_to(target)
        for more in ([], force):
            refuse(world, command, out, *more)
        assert states(world.root) == before, target
        assert not linked or [*tmp_path.iterdir()] == [out]


@pytest.mark.parametrize("name", [name for name in COMMANDS if not COMMANDS[name].file])
def test_force_replaces_another_artifact_by_a_folder(
    world: TinyWorld, before: dict[str, tuple[int, ...]], tmp_path: Path, name: str
) -> None:
    command = COMMANDS[name]
    out = tmp_path / "out"
    shutil.copytree(world.root / command.other, out)
    code, _, said = tgl(*command.arguments(world, out), "--force", "-q")
    assert code == 0, said
    receipt = read_receipt(out)
    assert receipt is not None
    assert receipt.stage == name
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert states(world.root) == before

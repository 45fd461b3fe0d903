"""No command replaces what is not its own: every command that writes, every place it must not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from output_commands import COMMANDS, FOREIGN, Command, add_foreign, elsewhere
from tiny_world import TinyWorld, snapshot, states, tgl

from schemas.directories import list_folder
from schemas.errors import OutputBlocked
from schemas.receipts import read_receipt
from stages.tools.segment.run import WORK_MARK

Place = Callable[[TinyWorld, Command], Iterator[Path]]
States = dict[str, tuple[int, ...]]


@pytest.fixture(scope="module")
def world(tiny_world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    """A world with things of the user's in it; nothing in it may ever change."""
    world = tiny_world.copy(tmp_path_factory.mktemp("matrix") / "world")
    add_foreign(world)
    return world


@pytest.fixture(scope="module")
def before(world: TinyWorld) -> States:
    """The world as it was made."""
    return states(world.root)


def inputs(world: TinyWorld, command: Command) -> Iterator[Path]:
    """Each input itself."""
    yield from (world.root / name for name in command.inputs)


def parents(world: TinyWorld, command: Command) -> Iterator[Path]:
    """The folder of each input."""
    yield from {(world.root / name).parent for name in command.inputs}


def children(world: TinyWorld, command: Command) -> Iterator[Path]:
    """A new name in each input, and in a folder of it."""
    for name in command.inputs:
        yield world.root / name / f"new{command.suffix}"
        yield world.root / name / "new" / f"deeper{command.suffix}"


def others(world: TinyWorld, command: Command) -> Iterator[Path]:
    """An artifact of another stage; for a single file also a file in one."""
    yield world.root / f"{command.other}{command.suffix}"
    if command.file:
        yield world.root / command.other_file


def foreign_folder(world: TinyWorld, command: Command) -> Iterator[Path]:
    """A folder that tgl did not make."""
    yield world.root / f"foreign{command.suffix}"


def foreign_file(world: TinyWorld, command: Command) -> Iterator[Path]:
    """A file that tgl did not write."""
    yield world.root / f"{FOREIGN}{command.suffix}"


NEVER = (inputs, parents, children)
"""Places that --force does not open."""
OPENED = (others, foreign_folder, foreign_file)
"""Places that --force opens to an output of their kind."""
QUICK = ({(others, False), (foreign_file, True)}, {(foreign_folder, True), (foreign_file, False)})
"""With these, and whether by a link, `make test` tries --force: the commands in turn, so that each
replaces something once."""


def link_to(target: Path, link: Path) -> Path:
    """A new link that leads to `target`."""
    link.unlink(missing_ok=True)
    link.symlink_to(target)
    return link


def refuse(world: TinyWorld, command: Command, out: Path, *more: object) -> None:
    """The command ends with one line and the exit code of a blocked output."""
    code, printed, said = tgl(*command.arguments(world, out), *more)
    assert code == OutputBlocked.exit_code, f"{out}: {said}"
    assert printed == ""
    assert said.count("\n") == 1, said
    assert said.startswith(f"error: {out}: "), said


def tries() -> Iterator[object]:
    """Commands and places, themselves and by a link; `make test` has one of the two, in turn."""
    for row, name in enumerate(COMMANDS):
        for column, place in enumerate([*NEVER, *OPENED]):
            for linked in (False, True):
                slow = (pytest.mark.slow,) if (row + column + linked) % 2 else ()
                shown = f"{name}-{place.__name__}-{'a link to it' if linked else 'itself'}"
                yield pytest.param(name, place, linked, id=shown, marks=slow)


@pytest.mark.parametrize(("name", "place", "linked"), list(tries()))
def test_nothing_is_replaced(
    world: TinyWorld, before: States, tmp_path: Path, name: str, place: Place, linked: bool
) -> None:
    command = COMMANDS[name]
    force = ["--force"] if place in NEVER else []
    for target in place(world, command):
        out = link_to(target, tmp_path / f"link{command.suffix}") if linked else target
        for more in ([], force):
            refuse(world, command, out, *command.more(world), *more)
        assert states(world.root) == before, target
        assert not [*elsewhere(world).iterdir()]
        assert not linked or [*tmp_path.iterdir()] == [out]


def cases() -> Iterator[object]:
    """Commands and places that --force opens, themselves and by a link."""
    for row, name in enumerate(COMMANDS):
        for place in OPENED:
            for linked in (False, True):
                slow = () if (place, linked) in QUICK[row % 2] else (pytest.mark.slow,)
                shown = f"{name}-{place.__name__}-{'a link to it' if linked else 'itself'}"
                yield pytest.param(name, place, linked, id=shown, marks=slow)


@pytest.mark.parametrize(("name", "place", "linked"), list(cases()))
def test_force_replaces_what_is_named_and_nothing_else(
    world: TinyWorld, before: States, tmp_path: Path, name: str, place: Place, linked: bool
) -> None:
    command = COMMANDS[name]
    for number, target in enumerate(place(world, command)):
        real = copy_of(world, target, tmp_path / f"place{number}")
        there = snapshot(real.parent)
        out = link_to(real, tmp_path / f"link{number}{command.suffix}") if linked else real
        if command.file == real.is_file():
            code, _, said = tgl(*command.arguments(world, out), "--force")
            assert code == 0, said
            check_replaced(command, name, real, there)
        else:  # a file never takes the place of a folder, nor a folder that of a file
            refuse(world, command, out, "--force")
            assert snapshot(real.parent) == there
        assert not linked or out.is_symlink()
    assert states(world.root) == before
    for path in elsewhere(world).iterdir():
        (shutil.rmtree if path.is_dir() else Path.unlink)(path)


def copy_of(world: TinyWorld, target: Path, folder: Path) -> Path:
    """A copy of a folder or a file, in a folder that holds something else too."""
    if target.parent != world.root:
        return Path(shutil.copytree(target.parent, folder)) / target.name
    shutil.copytree(world.root / "foreign", folder)
    copy = shutil.copytree if target.is_dir() else shutil.copy
    return Path(copy(target, folder / f"out{target.suffix}"))


def check_replaced(command: Command, name: str, real: Path, there: dict[str, str]) -> None:
    """The output is new and whole; all else beside it, told by `there`, is as it was."""
    found = snapshot(real.parent)
    beside = [
        {entry: names[entry] for entry in names if entry.split("/")[0] != real.name}
        for names in (there, found)
    ]
    assert beside[0] == beside[1]
    if command.file:
        assert found[real.name] != there[real.name]
    elif command.keeps:
        assert there.items() <= found.items()
        assert (real / WORK_MARK).is_file()
    else:
        receipt = read_receipt(real)
        assert receipt is not None
        assert receipt.stage == (command.stage or name)
        assert list_folder(real) == receipt.outputs


def test_the_summary_tells_what_was_replaced(world: TinyWorld, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def replaced(*more: object) -> list[str]:
        code, printed, said = tgl(*COMMANDS["references"].arguments(world, out), *more)
        assert code == 0, said
        lines = printed.splitlines()
        assert lines[0].endswith(f" -> {out}")
        return lines[1:]

    assert replaced() == []
    other = ("--kind", "one-at-random")
    changed = "kind all-objects -> one-at-random"
    assert replaced(*other) == [f"references: replaced a result of other settings ({changed})"]
    assert replaced(*other) == []
    assert replaced(*other, "--force") == ["references: replaced an earlier result"]

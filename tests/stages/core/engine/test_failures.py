"""Inputs that fail: nothing is published where all did, and no part takes a whole one's place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny_world import TinyWorld, snapshot, tgl

from schemas.errors import CorruptInput, IncompleteRun, MissingInput

_ALL = "frames/JPEGImages"
_ONE = "frames/JPEGImages/b/00000.jpg"


@pytest.fixture
def world(tiny_world: TinyWorld, tmp_path: Path) -> TinyWorld:
    """A world whose predictions and sheets are up to date, to be damaged."""
    return tiny_world.copy(tmp_path / "world")


COMMANDS = {
    "propagate": lambda world: (
        *("propagate", world.index, world.text, world.model, world.preds, "--device", "cpu"),
    ),
    "render": lambda world: (
        *("render", world.preds, world.index, world.sheets, "--format", "sheet", "--cells", 2),
        *("--short-side", 64, "--workers", 1),
    ),
}
OUT = {"propagate": "preds", "render": "sheets"}


@pytest.mark.parametrize("name", COMMANDS)
def test_moved_frames_leave_the_old_artifact(world: TinyWorld, name: str) -> None:
    (world.root / _ALL).rename(world.root / "moved")
    before = snapshot(world.root)
    code, printed, said = tgl(*COMMANDS[name](world))
    assert code in (MissingInput.exit_code, CorruptInput.exit_code), said
    assert (printed, said.count("error: "), said.strip().count("\n")) == ("", 1, 0), said
    assert snapshot(world.root) == before


@pytest.mark.parametrize("name", COMMANDS)
def test_a_part_waits_beside_the_whole_and_is_gone_on_with(world: TinyWorld, name: str) -> None:
    frame, out = world.root / _ONE, world.root / OUT[name]
    tgl(*COMMANDS[name](world), "--force")  # files of the copied world have other inodes
    before, kept = snapshot(out), shutil.copyfile(frame, world.root / "kept.jpg")
    frame.write_bytes(b"no image")
    code, _, said = tgl(*COMMANDS[name](world))
    assert code == IncompleteRun.exit_code, said
    assert "1 input failed, so the previous complete result was kept" in said
    assert (said.count("\n"), said.count(Path(_ONE).name)) == (1, 1), said
    assert snapshot(out) == before
    shutil.copyfile(kept, frame)
    code, printed, said = tgl(*COMMANDS[name](world))
    assert (code, said) == (0, ""), said
    assert {n: s for n, s in snapshot(out).items() if n.endswith(".png")} == {
        n: s for n, s in before.items() if n.endswith(".png")
    }
    if name == "propagate":
        assert "2 expressions finished before" in printed
    assert not [path.name for path in world.root.iterdir() if path.name.startswith(".")]

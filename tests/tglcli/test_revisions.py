"""A model named by its hub id: another revision in the cache reruns, and the receipt has it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants
from tiny_encoder import save_encoder
from tiny_selectors import save_selector
from tiny_world import TinyWorld
from typer.testing import CliRunner

from schemas.receipts import Receipt, read_receipt
from tglcli.main import app

FIRST, SECOND = "1" * 40, "2" * 40


class Cached:
    """A model in the hub's cache, in two revisions of equal content."""

    def __init__(self, cache: Path, model: Path, name: str):
        self.name = name
        self._store = cache / f"models--{name.replace('/', '--')}"
        for commit in (FIRST, SECOND):
            shutil.copytree(model, self._store / "snapshots" / commit)
        (self._store / "refs").mkdir()

    def choose(self, commit: str) -> None:
        """Let the main branch point to a commit."""
        (self._store / "refs" / "main").write_text(commit)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without a network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def run(*words: object) -> Receipt:
    """Run a command whose third word is its output; the receipt."""
    done = CliRunner().invoke(app, [str(word) for word in (*words, "--device", "cpu", "--quiet")])
    assert done.exit_code == 0, repr(done.exception) + done.output
    receipt = read_receipt(Path(str(words[2])))
    assert receipt is not None
    return receipt


@pytest.mark.parametrize("command", ["ground", "select-moments", "precompute-text"])
def test_another_revision_reruns(
    tiny_world: TinyWorld, tmp_path: Path, cache: Path, command: str
) -> None:
    if command == "ground":
        model, option = tiny_world.detector, "--model"
    elif command == "select-moments":
        model, option = save_selector("clip", tmp_path / "clip"), "--model"
    else:
        model, option = save_encoder(tmp_path / "roberta"), "--encoder"
    cached, out = Cached(cache, model, "someone/model"), tmp_path / "out"
    words = (command, tiny_world.index, out, option, cached.name)
    cached.choose(FIRST)
    assert run(*words).inputs["revision"] == FIRST
    made = out.stat().st_ino
    run(*words)
    assert out.stat().st_ino == made
    cached.choose(SECOND)
    assert run(*words).inputs["revision"] == SECOND
    assert out.stat().st_ino != made

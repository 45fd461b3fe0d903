"""A newcomer's mistakes: each is answered by one true line, and nothing is changed."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mistakes_world import tgl

LONGEST = 300
TABLE = Path(__file__).with_name("mistakes.toml")
MISTAKES: list[dict[str, Any]] = tomllib.loads(TABLE.read_text(encoding="utf-8"))["mistake"]

Snapshot = dict[str, tuple[int, int]]


@pytest.fixture
def _inside(world: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(world)
    before = snapshot()
    yield
    assert snapshot() == before


def snapshot() -> Snapshot:
    """Size and time of every file of the current folder."""
    files = ((path, path.lstat()) for path in Path().rglob("*") if not path.is_dir())
    return {str(path): (status.st_size, status.st_mtime_ns) for path, status in files}


def test_the_table_is_long_and_says_nothing_twice() -> None:
    typed = [mistake["typed"] for mistake in MISTAKES]
    assert len(typed) >= 80
    assert len(set(typed)) == len(typed)


@pytest.mark.usefixtures("_inside")
@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake["typed"] for mistake in MISTAKES])
def test_a_mistake_is_answered(
    mistake: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = tgl(shlex.split(mistake["typed"]), monkeypatch)
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    answers = [line for line in lines if not line.startswith("warning: ")]
    pattern = re.escape(f"error: {mistake['answer']}").replace(re.escape("..."), ".*")
    assert len(answers) == 1, lines
    assert re.fullmatch(pattern, answers[0]), answers[0]
    assert len(answers[0]) <= LONGEST
    assert code == mistake["code"]
    assert printed.out == ""

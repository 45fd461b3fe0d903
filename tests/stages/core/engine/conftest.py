"""The engine's tests import the stage beside them."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of three small files."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / name).write_text(f"text {name} ")
    return folder


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that two trainings may differ in: the seconds of steps and validations."""
    monkeypatch.setattr("stages.train.loading.clock.Clock.lap", lambda _: (0.0, 0.0))
    untimed = "stages.train.validation.share.ValidationTime.measuring"
    monkeypatch.setattr(untimed, lambda _: nullcontext())

"""Videos with tracks to judge, and tiny models that answer questions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_selectors import save_answerer
from tracks_mini import write_tracks

from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD


@pytest.fixture
def index(run_stage: Callable, mevis, tmp_path: Path) -> Path:
    """An index with true masks."""
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def tracks(index: Path, tmp_path: Path) -> Path:
    """Tracks of the same videos."""
    return write_tracks(index, tmp_path / "tracks")


@pytest.fixture(scope="session")
def tiny_answerer(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a random image-text-to-text model by family: llava or idefics3."""
    made: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in made:
            made[family] = save_answerer(family, tmp_path_factory.mktemp(family))
        return made[family]

    return make

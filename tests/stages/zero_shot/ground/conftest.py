"""Tiny random detectors, run in one thread."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_detectors import save_detector

sys.path.insert(0, str(Path(__file__).parents[2] / "core/model"))  # for tiny_backbones


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a random model by family: grounding-dino, mm-grounding-dino, owlv2 or sam3."""
    made: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in made:
            made[family] = save_detector(family, tmp_path_factory.mktemp(family))
        return made[family]

    return make


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """All tests here compare last bits."""

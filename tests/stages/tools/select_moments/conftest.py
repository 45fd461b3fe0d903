"""Tiny random image-text models, run in one thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_selectors import save_selector


@pytest.fixture(scope="session")
def tiny_selector(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a random model by family: clip, siglip, siglip2 or blip-2."""
    made: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in made:
            made[family] = save_selector(family, tmp_path_factory.mktemp(family))
        return made[family]

    return make


@pytest.fixture(autouse=True)
def _one_thread(one_thread: None) -> None:
    """All tests here compare last bits."""

"""Scripts of the toy example as modules."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOY = ROOT / "examples" / "toy"


@pytest.fixture(scope="session")
def forked(python: list[str]) -> str:
    """A command that stands for `tgl`, and takes no time to start."""
    return " ".join([*python, "-m", "tglcli"])


@pytest.fixture(scope="session")
def load_script() -> Callable[[str], ModuleType]:
    """Import a script by name, which may import those beside it."""

    def load(name: str) -> ModuleType:
        sys.path.insert(0, str(TOY))
        try:
            return importlib.import_module(name)
        finally:
            sys.path.remove(str(TOY))

    return load

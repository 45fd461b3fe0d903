"""Scripts of the toy example as modules."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from forked_tgl import forked_tgl

ROOT = Path(__file__).resolve().parents[2]
TOY = ROOT / "examples" / "toy"


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A command that stands for `tgl`, and takes no time to start."""
    with forked_tgl(tmp_path_factory.mktemp("tgl"), ROOT) as command:
        yield command


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

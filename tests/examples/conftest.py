"""Scripts of the toy example as modules."""

from __future__ import annotations

import importlib.util
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
    """Load a script by name as a module."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, TOY / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    return load

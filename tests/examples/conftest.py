"""Scripts of the toy example as modules."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

TOY = Path(__file__).parents[2] / "examples" / "toy"


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

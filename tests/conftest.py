"""Fixtures that every test may use."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).parent / "stages"))  # for what tests share: spoiling

import pytest
from hypothesis import settings

from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime

# The same examples in every run, but for somebody who fuzzes (see tests/stages/spoiling.py).
settings.register_profile("tgl", derandomize="TGL_FUZZ_EXAMPLES" not in os.environ)
settings.load_profile("tgl")


@pytest.fixture
def runtime() -> Runtime:
    """One worker on the CPU."""
    return Runtime(workers=1, device="cpu")


@pytest.fixture
def progress() -> SilentProgress:
    """Keeps warnings for the test to read."""
    return SilentProgress()


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The artifact of every stage in miniature, a `tiny_world.TinyWorld`; to be read only."""
    from tiny_world import make_world  # loads torch

    return make_world(tmp_path_factory.mktemp("tiny"))

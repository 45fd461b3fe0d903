"""Fixtures that every test may use."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).parent / "stages"))  # for what tests share: spoiling

import pytest
from forked_python import ADDRESS, MODELS, WORKERS_LOAD, forked_python
from hypothesis import settings

from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime

# The same examples in every run, but for somebody who fuzzes (see tests/stages/spoiling.py).
settings.register_profile("tgl", derandomize="TGL_FUZZ_EXAMPLES" not in os.environ)
settings.load_profile("tgl")


def _fsync(file: int | Any) -> None:
    """Do what fsync does but for waiting for the disk, milliseconds each time: no test cuts the
    power."""
    os.fstat(file if isinstance(file, int) else file.fileno())


os.fsync = _fsync

ROOT = Path(__file__).resolve().parents[1]
LONGEST = ("test_torchvision.py", "examples")
"""Tests of half a minute, below this folder. They come first: at the end, one process would wait
for the other."""
IN_PARALLEL = "PYTEST_XDIST_WORKER" in os.environ
"""Whether this is one of several processes that share the tests."""
if IN_PARALLEL:
    gc.disable()  # loading all tests makes millions of objects, and frees none of them
    _preload = forkserver.set_forkserver_preload

    def preload(modules: Sequence[str]) -> None:
        """Load what the worker processes of every stage need, whichever stage comes first.

        The process that they are forked from is started once; workers of a stage that came later
        would each load torch.
        """
        _preload([*modules, *(name for name in WORKERS_LOAD if name not in modules)])

    forkserver.set_forkserver_preload = preload
    preload(["__main__"])


def pytest_configure(config: pytest.Config) -> None:
    """Fork the processes that share the tests from one that has loaded the libraries; tests fork
    theirs from it too."""
    if IN_PARALLEL or set(config.getoption("tx", None) or ()) != {"popen"}:
        return
    kept = contextlib.ExitStack()
    config.add_cleanup(kept.close)
    folder = Path(kept.enter_context(tempfile.TemporaryDirectory()))
    words = kept.enter_context(forked_python(folder, ROOT))
    os.environ[ADDRESS] = words[-1]
    config.option.tx = [f"popen//python={shlex.join(words)}"] * len(config.option.tx)


def pytest_collection_finish() -> None:
    """Collect garbage again, but not among all that was loaded: that would take a while each time,
    and copy the memory that forked children share."""
    if IN_PARALLEL:
        gc.enable()
        gc.freeze()


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what all processes share that run tests."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if IN_PARALLEL else folder


@pytest.fixture(scope="session")
def python(common: Path) -> Iterator[list[str]]:
    """Words that stand for `python` and take no time to start; see :mod:`forked_python`."""
    with forked_python(common, ROOT) as words:
        yield words


@pytest.fixture
def runtime() -> Runtime:
    """One worker on the CPU."""
    return Runtime(workers=1, device="cpu")


@pytest.fixture
def progress() -> SilentProgress:
    """Keeps warnings for the test to read."""
    return SilentProgress()


@pytest.fixture(scope="session")
def tiny_world(common: Path) -> Any:
    """The artifact of every stage in miniature, a `tiny_world.TinyWorld`; to be read only."""
    from tiny_world import TinyWorld, make_world  # loads torch

    made = common / "tiny.made"
    with (common / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(common / "tiny", ignore_errors=True)
            (common / "tiny").mkdir()
            make_world(common / "tiny")
            made.touch()
    for module in MODELS:  # as if it had been made here: tests fork children that need both
        importlib.import_module(module)
    importlib.import_module("stages.core.engine.workers.forkserver").start_forkserver(WORKERS_LOAD)
    return TinyWorld(common / "tiny")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests first."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.relative_to(here).parts[0] not in LONGEST)

"""The tests that need torchvision, all in one process that has it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torchvision_operators
from forked_python import ADDRESS

TESTS = Path(__file__).parent
SECONDS = 280
BACKBONES = TESTS / "stages" / "core" / "model" / "backbones"
WITH_TIMM = (
    BACKBONES / "test_parity.py",
    BACKBONES / "test_edgetam.py",
    TESTS / "stages" / "train" / "test_edgetam.py",
)


def run_with(packages: Sequence[str], modules: Sequence[Path], *options: str) -> str:
    """Run test modules in a process that has some packages; return what pytest writes."""
    reason = torchvision_operators.missing(packages)
    if reason is not None:
        pytest.skip(reason)
    folders = [TESTS.parent, TESTS / "stages", *torchvision_operators.folders(packages)]
    known = {name: value for name, value in os.environ.items() if name != ADDRESS}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n0", "-p", "torchvision_operators", *options, *modules],
        env=known
        | {
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
            torchvision_operators.VARIABLE: "1",
        },
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_all_modules_that_need_torchvision_pass() -> None:
    modules = sorted(TESTS.rglob("test_*_torchvision.py"))
    assert modules
    assert "skipped" not in run_with(["torchvision"], modules)


@pytest.mark.slow
def test_edgetam_passes_with_its_own_image_encoder() -> None:
    """The encoder is timm's, which needs torchvision; elsewhere these tests are skipped."""
    out = run_with(["torchvision", "timm"], WITH_TIMM, "-k", "timm or published_sizes")
    assert "skipped" not in out

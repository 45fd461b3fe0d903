"""The tests that need torchvision, all in one process that has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torchvision_operators

TESTS = Path(__file__).parent
SECONDS = 240


def test_all_modules_that_need_torchvision_pass() -> None:
    reason = torchvision_operators.missing()
    if reason is not None:
        pytest.skip(reason)
    modules = sorted(str(path) for path in TESTS.rglob("test_*_torchvision.py"))
    assert modules
    places = [TESTS.parent, TESTS / "stages"]
    if not torchvision_operators.whole():
        places.append(torchvision_operators.FOLDER)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n0", "-p", "torchvision_operators", *modules],
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(map(str, places)),
            torchvision_operators.VARIABLE: "1",
        },
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "skipped" not in done.stdout

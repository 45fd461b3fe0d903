"""No bars and warnings of other libraries, asked for quiet at a terminal or in a pipe."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_world import TinyWorld

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "quiet",
    [
        pytest.param(True, id="quiet at a terminal"),
        pytest.param(False, id="in a pipe", marks=pytest.mark.slow),
    ],
)
def test_loading_a_model_prints_nothing(tiny_world: TinyWorld, tmp_path: Path, quiet: bool) -> None:
    command = ("select-moments", tiny_world.index, "out", "--model", tiny_world.selector)
    reader, writer = pty.openpty() if quiet else os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as terminal:
        done = subprocess.run(
            [sys.executable, "-m", "tglcli", *map(str, command), *(["--quiet"] if quiet else [])],
            stdout=subprocess.PIPE,
            stderr=writer,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            check=False,
        )
        os.write(writer, b"end\n")  # so that there is something to read
        os.close(writer)
        assert terminal.read(4096).replace(b"\r", b"") == b"end\n"
    assert done.returncode == 0
    assert done.stdout.count(b"\n") == (0 if quiet else 1)

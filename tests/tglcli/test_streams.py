"""Standard streams that are closed, full, or that nobody reads any more."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MANY = 400


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A line of bash in which `tgl` is the command line."""
    tgl = f"{shlex.quote(sys.executable)} -m tglcli"
    return subprocess.run(
        ["bash", "-c", line.replace("tgl ", f"{tgl} ")],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """A data set with more faults than a pipe holds lines of."""
    names = ", ".join(f'"{n}": {{"exp": ""}}' for n in range(MANY))
    (tmp_path / "meta_expressions.json").write_text(
        f'{{"videos": {{"v": {{"frames": ["0"], "expressions": {{{names}}}}}}}}}'
    )
    return tmp_path


@pytest.mark.parametrize(
    ("line", "code", "out", "errors"),
    [
        ("tgl check nowhere 2>&-", 3, "", ""),
        ("tgl check nowhere >&- 2>&-", 3, "", ""),
        ("tgl table nowhere >&-", 3, "", "error: nowhere: no such folder"),
        ("tgl --version >&-", 0, "", ""),
    ],
)
def test_closed_streams(tmp_path: Path, line: str, code: int, out: str, errors: str) -> None:
    done = shell(line, tmp_path)
    assert (done.returncode, done.stdout) == (code, out)
    assert done.stderr.startswith(errors)
    assert len(done.stderr.splitlines()) == bool(errors)


def test_a_reader_that_goes_away_is_no_error(faulty: Path) -> None:
    line = f"tgl check . --show {MANY} | head -1; echo ${{PIPESTATUS[0]}}"
    done = shell(line, faulty)
    assert done.stderr == ""
    assert done.stdout.splitlines()[0].startswith(".: data set")
    # 141 as of any program that writes to a closed pipe; 5 if all was written before.
    assert done.stdout.splitlines()[-1] in ("141", "5")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_device_is_one_line(faulty: Path) -> None:
    done = shell("tgl check . >/dev/full", faulty)
    assert done.returncode == 6
    assert done.stderr == "error: standard output: the disk is full\n"


def test_what_is_opened_never_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    toy = "tgl toy out --train-clips 0 --valid-clips 1 --dev-clips 0 --workers 1 >&- 2>&-"
    assert shell(toy, tmp_path).returncode == 0
    assert shell("tgl check out/valid", tmp_path).returncode == 0

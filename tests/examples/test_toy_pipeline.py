"""The pipeline of examples/toy on a few clips: every stage in turn, then nothing left to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "TOY": "--train-clips 3 --valid-clips 1 --dev-clips 0 --frames 16 --expressions 3",
    "TRAIN": "--steps 2 --track-steps 2 --batch 2 --device cpu",
}


def make(work: Path, tgl: str, *goals: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the example's Makefile with a command that stands for tgl."""
    settings = SMALL | variables | {"WORK": str(work), "TGL": tgl}
    return subprocess.run(
        [
            *("make", "-C", str(ROOT / "examples" / "toy"), *goals),
            *(f"{k}={v}" for k, v in settings.items()),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "100"},
    )


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_pipeline_runs_then_skips_then_follows_a_setting(tmp_path: Path, forked: str) -> None:
    work = tmp_path / "work"
    first = make(work, forked)
    assert first.returncode == 0, first.stderr
    for row in ("annotated", "predicted", "look-alikes", "one-at-random", "all-objects"):
        assert row in first.stdout
    assert list((work / "pictures").rglob("*.png"))
    assert (work / "scores" / "predicted" / "report.html").is_file()

    second = make(work, forked)
    assert second.returncode == 0
    assert "done in" not in second.stdout

    goal = str(work / "masks" / "predicted" / "receipt.json")
    third = make(work, forked, goal, TRAIN="--steps 3 --track-steps 2 --batch 2 --device cpu")
    assert third.returncode == 0, third.stderr
    done = [line.split(":")[0] for line in third.stdout.splitlines() if "done in" in line]
    assert done == ["train", "propagate"]
    assert "toy: up to date" in third.stdout

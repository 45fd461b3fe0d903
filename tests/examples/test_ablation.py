"""The whole ablation on a few clips: two arms in parallel, a report, then nothing to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "examples" / "toy" / "ablation.py"
FEW = (
    "--steps 2 --adapter-steps 1 --track-steps 1 --batch 2 --cache-features 0 --adapter-width 16 "
    "--device cpu"
)


def ablation(work: Path) -> str:
    """Run the script; its output."""
    words = ["--weights", "base", "tgl", "--seeds", "1", "--jobs", "2", "--train-clips", "3"]
    words += [
        "--clips",
        "1",
        "--dev-clips",
        "1",
        "--train",
        FEW,
        "--write",
        str(work / "ablation.md"),
    ]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(work), *words],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def weights_times(work: Path) -> dict[Path, int]:
    """Modification times of the checkpoints; a receipt's time is that of the last run, for make."""
    return {path: path.stat().st_mtime_ns for path in work.glob("checkpoint/*/*.safetensors")}


@pytest.mark.slow
def test_arms_run_in_parallel_and_once(tmp_path: Path) -> None:
    first = ablation(tmp_path)
    assert "base, seed 0" in first
    assert "tgl, seed 0" in first
    report = (tmp_path / "ablation.md").read_text()
    for row in ("| BASE | all |", "| TGL | annotated |", "| TGL | predicted |", "*look-alikes*"):
        assert row in report
    made = weights_times(tmp_path)
    assert len(made) == 2
    assert ablation(tmp_path).splitlines()[-1] == first.splitlines()[-1]
    assert weights_times(tmp_path) == made

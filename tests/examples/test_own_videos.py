"""The pipeline of examples/own_videos on two tiny videos with tiny random models."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny_world import LENGTHS, TinyWorld

ROOT = Path(__file__).resolve().parents[2]


def make(folder: Path, world: TinyWorld, tgl: str) -> str:
    """Run the example's Makefile with a command that stands for tgl; what it prints."""
    settings = {
        "TGL": tgl,
        "VIDEOS": str(world.root / "videos"),
        "SENTENCES": str(folder / "sentences.csv"),
        "WORK": str(folder / "work"),
        "MODEL": str(world.detector),
        "TRACKER": str(world.tracker),
        "JUDGE": "none",
        "DEVICE": "--device cpu",
    }
    words = [f"{name}={value}" for name, value in settings.items()]
    done = subprocess.run(
        ["make", "-C", str(ROOT / "examples" / "own_videos"), *words],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_videos_and_a_csv_become_masks_overlays_and_tables(
    tiny_world: TinyWorld, tmp_path: Path, forked: str
) -> None:
    rows = "a,the left one jumps\nb,two that run\nb,a flying cow\n"
    (tmp_path / "sentences.csv").write_text(f"video_id,expression\n{rows}")
    first = make(tmp_path, tiny_world, forked)
    assert first.count("done in") == 7
    work = tmp_path / "work"
    for video, sentences in (("a", ["0"]), ("b", ["0", "1"])):
        for sentence in sentences:
            assert len(list((work / "masks" / video / sentence).iterdir())) == LENGTHS[video]
            assert (work / "masks" / "ObjectMasks" / video / sentence).is_dir()
    assert len(list((work / "overlays").rglob("*.mp4"))) == 2
    objects = pq.read_table(work / "masks" / "objects.parquet").to_pylist()
    with (work / "moments.csv").open(newline="") as file:
        moments = list(csv.DictReader(file))
    assert {(row["video_id"], row["expression_id"], row["anno_id"]) for row in objects} == {
        (row["video_id"], row["expression_id"], row["anno_id"]) for row in moments
    }

    assert "done in" not in make(tmp_path, tiny_world, forked)

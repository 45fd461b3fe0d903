"""The table of delays: figures from scores written by hand, and the whole script on one clip."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "examples" / "toy" / "online.py"


@pytest.fixture(scope="module")
def online(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("online")


def write(folder: Path, sentences: list[dict], frames: list[tuple[str, int, float, bool]]) -> Path:
    table = [
        {"video_id": "v", "expression_id": e, "frame": f, "J": s, "F": s / 2, "relevant": r}
        for e, f, s, r in frames
    ]
    pq.write_table(pa.Table.from_pylist(table), folder / "frames.parquet")
    rows = [{"video_id": "v", **sentence} for sentence in sentences]
    pq.write_table(pa.Table.from_pylist(rows), folder / "scores.parquet")
    return folder


def test_figures_of_frames_before_within_and_after(online: ModuleType, tmp_path: Path) -> None:
    sentences = [
        {"expression_id": "0", "referents": 1, "JF": 0.5, "span_tiou": 0.25},
        {"expression_id": "1", "referents": 2, "JF": 0.25, "span_tiou": 0.75},
        {"expression_id": "2", "referents": 0, "JF": 0.75, "span_tiou": None},
    ]
    frames = [("0", 3, 0.2, False), ("0", 2, 0.8, True), ("0", 1, 0.4, True), ("0", 0, 1.0, False)]
    frames += [("1", 0, 0.4, True), ("2", 0, 1.0, False)]
    found = online.figures(write(tmp_path, sentences, frames))
    # J and F of a frame are s and s / 2; sentence 1 has no frame before its moment.
    within = (0.75 * 0.6 + 0.75 * 0.4) / 2
    after = (0.75 * (1.4 / 3) + 0.75 * 0.4) / 2
    assert found == pytest.approx([0.5, 0.375, within, after, 0.75, 0.5])


def test_missing_figures_are_a_dash(online: ModuleType, tmp_path: Path) -> None:
    sentences = [{"expression_id": "0", "referents": 1, "JF": 0.5, "span_tiou": 1.0}]
    found = online.figures(write(tmp_path, sentences, [("0", 0, 0.5, True)]))
    assert found[4] is None
    assert online.percent(found[4]) == "-"
    assert online.percent(0.1234) == "12.3"


@pytest.mark.slow
def test_the_table_has_a_row_per_mode(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), "--clips", "1", "--delays", "0", "2"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stderr
    modes = [line.split("|")[1].strip() for line in done.stdout.splitlines()[2:]]
    assert modes == ["`--delay 0`", "`--delay 2`", "offline"]

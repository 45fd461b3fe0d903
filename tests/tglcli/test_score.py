"""tgl score as it is typed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command_line import run_tgl
from PIL import Image


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """Predictions and ground truth: two videos, two expressions, three frames."""
    rng = np.random.default_rng(5)
    for tree in ("preds", "gt"):
        for video in ("a", "b"):
            for expression in ("0", "1"):
                folder = tmp_path / tree / video / expression
                folder.mkdir(parents=True)
                for frame in range(3):
                    mask = rng.random((20, 30)) < 0.5
                    Image.fromarray(mask).save(folder / f"{frame:05}.png")
    return tmp_path / "preds", tmp_path / "gt"


def tgl(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, on a terminal of 100 columns."""
    return run_tgl(*words, cwd=cwd, COLUMNS="100")


def test_tables_are_printed_and_nothing_is_left(trees, tmp_path):
    done = tgl("score", "preds/", "gt/", "--workers", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 expressions of 2 videos, 12 frames (mevis protocol)" in done.stdout
    assert "Worst expressions" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gt", "preds"]


def test_out_report_json_and_compare(trees, tmp_path):
    done = tgl(
        *("score", "preds", "gt", "--out", "kept", "--report", "page.html", "--workers", "1"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "kept").iterdir() if path.name[0] != ".") == [
        *("frames.parquet", "receipt.json", "report.html", "scores.parquet", "summary.json")
    ]
    page = (tmp_path / "page.html").read_text()
    assert page == (tmp_path / "kept" / "report.html").read_text()
    done = tgl(
        "score", "preds", "gt", "--json", "--compare", "kept", "--workers", "1", cwd=tmp_path
    )
    summary = json.loads(done.stdout)
    assert summary["JF"] == json.loads((tmp_path / "kept" / "summary.json").read_text())["JF"]
    assert (summary["difference"]["this"], summary["difference"]["other"]) == ("preds", "kept")
    assert summary["difference"]["JF"] == {
        "mean": 0.0,
        "low": 0.0,
        "high": 0.0,
        "better": 0,
        "worse": 0,
    }
    done = tgl("score", "gt", "gt", "--compare", "kept", "--workers", "1", cwd=tmp_path)
    line = "gt minus kept: + if gt is better; 4 expressions of 2 videos"
    assert line in " ".join(done.stdout.split())


def test_a_fault_is_one_line_and_an_exit_code(trees, tmp_path):
    preds, _ = trees
    (preds / "a" / "1" / "00001.png").unlink()
    done = tgl("score", "preds", "gt", "--workers", "1", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "video a, expression 1, frame 00001: mask is missing" in done.stderr
    done = tgl("score", "preds", "gt", "--missing", "zero", "--workers", "1", cwd=tmp_path)
    assert done.returncode == 0
    assert "1 frame counted as 0" in done.stdout
    done = tgl("score", "preds", "gt", "--report", "x.html", "--images", "-1", cwd=tmp_path)
    assert done.returncode == 2
    assert "--images" in done.stderr

"""The examples of docs/python.md run as they stand, with tiny models under the default names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from tiny_detectors import save_detector
from tiny_selectors import save_selector
from tiny_world import LENGTHS, TinyWorld

from stages.core.model.loading.catalog import (
    CPU_TRACKER,
    DEFAULT_DETECTOR,
    DEFAULT_JUDGE,
    DEFAULT_TRACKER,
)

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def add_to_cache(home: Path, name: str, folder: Path) -> None:
    """Put a model into a hub's cache, as a download leaves it."""
    store = home / "hub" / f"models--{name.replace('/', '--')}"
    (store / "refs").mkdir(parents=True)
    (store / "refs" / "main").write_text(COMMIT)
    shutil.copytree(folder, store / "snapshots" / COMMIT)


AT_HOME = """
from huggingface_hub import constants
constants.HF_HUB_CACHE, constants.HF_HUB_OFFLINE = {cache!r}, True
"""
"""What HF_HOME and HF_HUB_OFFLINE set as libraries are loaded; here they were loaded before."""


def test_every_example_runs(tiny_world: TinyWorld, tmp_path: Path, python: list[str]) -> None:
    home = tmp_path / "home"
    for name, folder in (
        (DEFAULT_DETECTOR, save_detector("grounding-dino", tmp_path / "dino")),
        (DEFAULT_JUDGE, save_selector("siglip", tmp_path / "siglip")),
        (DEFAULT_TRACKER, tiny_world.tracker),
        (CPU_TRACKER, tiny_world.tracker),
    ):
        add_to_cache(home, name, folder)
    shutil.copy(tiny_world.video("a"), tmp_path / "clip.mp4")
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 3
    at_home = AT_HOME.format(cache=str(home / "hub"))
    code = "\n".join([at_home, *blocks, "print(masks.shape, masks.dtype)"])
    done = subprocess.run(
        [*python, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("the dog that jumps (")
    assert any(line.startswith("a man (") for line in lines)
    assert lines[-2:] == [f"{-(-LENGTHS['a'] // 2)} False", "(12, 96, 128) bool"]

"""Frames as extract-frames leaves them, and the miniatures of the layouts beside MeViS."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from schemas.parquet import rows_of, write_table
from schemas.tables import FRAMES

sys.path.insert(0, str(Path(__file__).parent))

from layout_minis import davis, plain, youtube  # noqa: F401 (fixtures for every test here)

HEIGHT, WIDTH = 12, 16


@pytest.fixture
def frames_artifact(tmp_path: Path) -> Callable[..., Path]:
    """`frames_artifact({"a": 6}, fps=6)`: what extract-frames would have made."""

    def make(lengths: dict[str, int], *, fps: float) -> Path:
        root = tmp_path / "frames"
        rows = []
        for video, length in lengths.items():
            names = [f"{n:05d}" for n in range(length)]
            folder = root / "JPEGImages" / video
            folder.mkdir(parents=True)
            for name in names:
                Image.new("RGB", (WIDTH, HEIGHT)).save(folder / f"{name}.jpg")
            rows += [
                {
                    "video_id": video,
                    "frame": frame,
                    "name": name,
                    "path": f"JPEGImages/{video}/{name}.jpg",
                    "pts_seconds": frame / fps,
                    "width": WIDTH,
                    "height": HEIGHT,
                    "bytes": (root / "JPEGImages" / video / f"{name}.jpg").stat().st_size,
                    "sha256": "",
                }
                for frame, name in enumerate(names)
            ]
        write_table(root / "frames.parquet", rows_of(rows, FRAMES), FRAMES)
        return root

    return make

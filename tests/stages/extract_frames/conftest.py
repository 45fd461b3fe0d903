"""Small videos made by ffmpeg at test time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.core.media.ffmpeg import ffmpeg_binary

MakeVideo = Callable[..., Path]


def _encode(path: Path, source: list[str], options: list[str]) -> Path:
    command = [ffmpeg_binary(), "-v", "error", "-nostdin", "-y", *source, *options, str(path)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    """`make_video("a.mp4", frames=10, rate=10, size="64x48", options=[...])`."""

    def make(
        name: str,
        *,
        frames: int = 10,
        rate: str = "10",
        size: str = "64x48",
        filters: str = "null",
        options: tuple[str, ...] = ("-c:v", "libx264", "-preset", "ultrafast"),
    ) -> Path:
        source = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}"]
        limits = ["-frames:v", str(frames), "-vf", filters, "-fps_mode", "vfr"]
        path = tmp_path / "videos" / name
        path.parent.mkdir(exist_ok=True)
        return _encode(path, source, [*limits, *options])

    return make


@pytest.fixture
def real_video() -> Callable[[str], Path]:
    """A real clip by name; the test is skipped where the clips are not at hand."""

    def find(name: str) -> Path:
        beside = Path(__file__).parents[4] / "shared" / "data"
        path = Path(os.environ.get("TGL_SHARED_DATA", beside)) / "videos" / name
        if not path.is_file():
            pytest.skip(f"no {name}: point TGL_SHARED_DATA at a folder with videos/{name}")
        return path

    return find

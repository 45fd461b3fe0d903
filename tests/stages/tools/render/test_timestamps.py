"""Overlays of videos with a variable frame rate keep every frame's time."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.layouts import FRAMES_TABLE
from schemas.parquet import rows_of, write_table
from schemas.tables import FRAMES
from stages.core.datasets.frame_times import FrameTimes
from stages.core.media.ffmpeg import ffmpeg_binary
from stages.core.media.timed_video import end_time
from stages.extract_frames.log import Log
from stages.tools.render.timestamps import StreamTimes
from stages.tools.render.writing.gifs import write_gif
from stages.tools.render.writing.videos import write_mp4

UNEVEN = (0.0, 0.04, 0.08, 1.5, 1.533, 3.25, 7.0, 7.017, 12.4, 13.1)
SIZE = (48, 64)


def frames(count: int):
    return (np.full((*SIZE, 3), 20 * number, np.uint8) for number in range(count))


def seconds_of(video: Path) -> tuple[list[float], float]:
    """(time of each frame, length of the file)."""
    command = [ffmpeg_binary(), "-nostdin", "-loglevel", "level+info", "-i", str(video)]
    command += ["-vf", "showinfo", "-fps_mode", "passthrough", "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    log = Log().read(done.stderr.splitlines())
    assert log.seconds is not None
    return [stamp.seconds for stamp in log.stamps if stamp.seconds is not None], log.seconds


def test_an_mp4_shows_each_frame_at_its_time(tmp_path: Path) -> None:
    times = (*UNEVEN, end_time(UNEVEN))
    for name in ("a.mp4", "b.mp4"):
        write_mp4(tmp_path / name, frames(len(UNEVEN)), SIZE, 6.0, 18, times)
    found, length = seconds_of(tmp_path / "a.mp4")
    assert np.allclose(found, UNEVEN, atol=1e-5)
    assert abs(length - times[-1]) < 0.01  # ffmpeg rounds it to 1/100 s
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_a_gif_shows_each_frame_at_its_time_as_far_as_it_can(tmp_path: Path) -> None:
    write_gif(tmp_path / "a.gif", frames(len(UNEVEN)), (*UNEVEN, end_time(UNEVEN)))
    shown = []
    with Image.open(tmp_path / "a.gif") as image:
        for number in range(image.n_frames):
            image.seek(number)
            shown.append(image.info["duration"] / 1000)
    ends = np.cumsum(shown)
    assert np.abs(ends - np.array([*UNEVEN[1:], end_time(UNEVEN)])).max() < 0.0101


def table(path: Path, times: tuple[float | None, ...]) -> FrameTimes:
    rows = (
        {
            "video_id": "a", "frame": frame, "name": f"{frame:05d}", "path": f"a/{frame:05d}.jpg",
            "pts_seconds": seconds, "width": 4, "height": 4, "bytes": 1, "sha256": "0" * 64,
        }
        for frame, seconds in enumerate(times)
    )  # fmt: skip
    write_table(path / FRAMES_TABLE, rows_of(rows, FRAMES), FRAMES)
    return FrameTimes(path / FRAMES_TABLE)


@pytest.mark.parametrize(
    ("times", "rate", "uneven"),
    [
        (UNEVEN, 9 / 13.1, True),
        (tuple(n * 0.04 for n in range(10)), 25.0, False),
        (tuple(round(n / 24, 3) for n in range(10)), 24.0, False),
        ((0.0, None, 0.5, 1.0), 2.0, False),
        ((0.0, 1.0, 1.0, 3.0), 1.0, False),
        ((0.0,), None, False),
    ],
)
def test_only_known_and_uneven_times_are_used(
    tmp_path: Path, times: tuple, rate: float | None, uneven: bool
) -> None:
    frame_times = table(tmp_path, times)
    names = [f"{frame:05d}" for frame in range(len(times))]
    found, seconds = frame_times.of_video("a", names)
    assert found == pytest.approx(rate, abs=0.01)
    assert seconds == (times if uneven else None)
    assert frame_times.of_video("a", [*names, "more"])[1] is None
    assert frame_times.of_video("b", names) == (None, None)
    assert FrameTimes(tmp_path / "absent").of_video("a", names) == (None, None)


@pytest.mark.parametrize(
    ("stamps", "times", "warned"),
    [
        (UNEVEN, (*UNEVEN, end_time(UNEVEN)), None),
        ((0.5,), (0.5, 0.75), None),
        ((), (0.0,), None),
        ((0.0, 0.5, None, None, 4.0, 6.0), (0.0, 0.5, 1.0, 1.5, 4.0, 6.0, 8.0), 2),
        ((0.0, 1.0, 1.0, 1.0, 3.5), (0.0, 1.0, 2.0, 3.0, 3.5, 4.0), 2),
        ((7.0, 8.0, 0.0, 1.0), (7.0, 8.0, 9.0, 10.0, 11.0), 2),
        ((-1.0, None, 0.75), (0.0, 0.25, 0.75, 1.25), 0),
        ((0.0, 1e-6, 1.0), (0.0, 0.25, 1.0, 1.75), 1),
    ],
)
def test_times_of_a_stream_always_increase(
    stamps: tuple, times: tuple[float, ...], warned: int | None
) -> None:
    warnings: list[str] = []
    clock = StreamTimes(0.25, warnings.append)
    assert (*map(clock.add, stamps), clock.end) == pytest.approx(times)
    assert len(warnings) == (warned is not None)
    assert all(warning.startswith(f"frame {warned} has no time stamp") for warning in warnings)

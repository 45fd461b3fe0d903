"""What is read from ffmpeg's messages, and what is made of it for the time left."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest

from stages.core.engine.progress import SilentProgress
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.extract_frames.estimate import FrameEstimate, frames_of_header
from stages.extract_frames.log import Log
from stages.extract_frames.stage import STAGE
from stages.extract_frames.written_frames import WrittenFrames

HEADER = """[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/a.mp4':
[info]   Duration: 00:01:10.50, start: 0.000000, bitrate: 28 kb/s
[info]   Stream #0:0[0x1](und): Video: h264 (High), yuv420p, 64x48, 12 kb/s, {rate}, 12800 tbn
[Parsed_showinfo_0 @ 0x1] [info] config in time_base: 1/12800, frame_rate: 25/1
[Parsed_showinfo_0 @ 0x1] [info] n:   0 pts:    512 pts_time:0.04 duration: 512 fmt:yuv420p \
sar:0/1 s:64x48 i:P iskey:1 type:I
[info] Output #0, image2, to '%05d.jpg':
[info]   Stream #0:0: Video: mjpeg, yuv420p, 64x48, 90 fps, 90 tbn
[error] first reason
"""


@pytest.mark.parametrize(
    ("rate", "expected"), [("25 fps, 25 tbr", 25.0), ("29.97 tbr", 29.97), ("1k fps", 1000.0)]
)
def test_header_stamps_and_errors(rate: str, expected: float) -> None:
    headers, frames = [], []
    log = Log(lambda: frames.append(1), lambda *header: headers.append(header))
    log.read(HEADER.format(rate=rate).splitlines())
    assert headers == [(70.5, expected)]
    assert [(s.seconds, s.width, s.height) for s in log.stamps] == [(0.04, 64, 48)]
    assert (len(frames), log.errors) == (1, ["first reason"])


def test_a_header_without_a_length_says_nothing() -> None:
    headers: list[object] = []
    text = HEADER.format(rate="25 fps").replace("00:01:10.50", "N/A")
    Log(None, lambda *header: headers.append(header)).read(text.splitlines())
    assert headers == []


FRAME = "[Parsed_showinfo_0 @ 0x1] [info] n:   0 pts:      0 pts_time:0 s:64x48 i:P iskey:1 type:I "
COLOUR = (
    "[Parsed_showinfo_0 @ 0x1] [info] color_range:tv color_space:unknown color_primaries:bt470bg "
    "color_trc:iec61966-2-1"
)
ERROR = "[ffv1 @ 0x1] [error] slice CRC mismatch E4EF812!"


@pytest.mark.parametrize(
    ("lines", "mixed", "errors"),
    [
        ([FRAME, COLOUR], False, 0),
        ([FRAME, ERROR + "at 1.4 seconds", COLOUR], False, 1),
        ([FRAME + "slice CRC mismatch E4EF812!at 1.4 seconds", COLOUR], True, 0),
        ([FRAME, COLOUR.replace("bt470", "slice CRC mismatch")], True, 0),
        ([ERROR + FRAME.partition("[info] ")[2], "at 1.4 seconds", COLOUR], False, 1),
    ],
)
def test_a_message_within_another_is_noticed(lines: list[str], mixed: bool, errors: int) -> None:
    log = Log().read(["[info] Stream mapping:", *lines])
    assert (len(log.stamps), log.mixed, len(log.damage)) == (1, mixed, errors)


OUTPUT = [
    "[info] Output #0, image2, to '%05d.jpg':",
    "[info]   Metadata:",
    "[info]     encoder         : Lavf63.1.102",
    "[info]   Stream #0:0: Video: mjpeg, yuv444p(pc, progressive), 64x48, 5 fps, 1k tbn",
    "[info] frame=   10 fps=0.0 q=2.0 Lsize=N/A time=00:00:00.00 bitrate=N/A speed=   0x",
]


@pytest.mark.parametrize(
    ("line", "before"),
    [(0, " image2"), (1, ":"), (2, "Lavf"), (3, ": Video"), (3, ", 64x48"), (3, ", 1k")],
)
def test_a_message_within_the_description_of_the_output_is_noticed(line: int, before: str) -> None:
    place = OUTPUT[line].index(before)
    assert not Log().read(["[info] Stream mapping:", *OUTPUT, FRAME, COLOUR]).mixed
    start, rest = OUTPUT[line][:place], OUTPUT[line][place:]
    cut = [*OUTPUT[:line], f"{start}slice CRC mismatch E4EF812!at 0.8 seconds", f"[info] {rest}"]
    log = Log().read(["[info] Stream mapping:", *cut, *OUTPUT[line + 1 :], FRAME, COLOUR])
    assert (log.mixed, log.damage) == (True, [])


@pytest.mark.parametrize(
    ("settings", "frames"),
    [({}, 250), ({"stride": 4}, 62), ({"fps": 5.0}, 50), ({"start": 4.0}, 150), ({"end": 2.0}, 50),
     ({"start": 99.0}, 1)],
)  # fmt: skip
def test_frames_of_a_header(settings: dict, frames: int) -> None:
    assert frames_of_header(10.0, 25.0, ExtractConfig(**settings)) == frames


def test_unknown_videos_are_estimated_by_their_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path, size in zip(paths, (100, 300, 600), strict=True):
        path.write_bytes(bytes(size))
    estimate = FrameEstimate(paths)
    assert estimate.learn(paths[0], 10) == 100
    assert estimate.learn(paths[1], 50) == 150
    assert estimate.learn(paths[0], 30) == 200  # better known
    assert estimate.learn(paths[2], 1) == 81


def test_frames_are_read_when_they_are_whole(tmp_path: Path) -> None:
    written = WrittenFrames(tmp_path, ExtractConfig(digits=3))
    written.read_whole()
    (tmp_path / "000.jpg").write_bytes(b"half")
    written.read_whole()
    (tmp_path / "000.jpg").write_bytes(b"whole")
    (tmp_path / "001.jpg").write_bytes(b"half of the next")
    written.read_whole()
    (tmp_path / "001.jpg").write_bytes(b"the next")
    found = written.read_all()
    assert [(p.name, p.bytes) for p in found] == [("000.jpg", 5), ("001.jpg", 8)]
    assert found[0].sha256 != found[1].sha256


class Told(SilentProgress):
    """Keeps what a task is told."""

    def __init__(self) -> None:
        super().__init__()
        self.expected: list[int] = []
        self.counted = 0

    @contextmanager
    def task(self, name: str, total: int | None, unit: str):
        yield self

    def advance(self, n: int = 1, **figures: float | str) -> None:
        self.counted += n

    def expect(self, total: int) -> None:
        self.expected.append(total)


def test_the_time_left_is_known_from_the_first_header_on(
    run_stage: Callable, make_video: Callable, tmp_path: Path
) -> None:
    videos = (make_video("a.mp4", frames=20), make_video("b.mp4", frames=20))
    told = Told()
    run_stage(STAGE, ExtractConfig(), ExtractInputs(videos), tmp_path / "out", progress=told)
    assert 20 < told.expected[0] < 80
    assert (told.expected[-1], told.counted) == (40, 40)

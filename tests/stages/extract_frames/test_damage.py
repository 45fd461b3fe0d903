"""Videos that ffmpeg decodes with errors, and files that are no video of their own."""

from __future__ import annotations

import os
import random
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.errors import CorruptInput, MissingInput, UnsafeName
from schemas.layouts import FRAMES_TABLE
from schemas.parquet import read_table
from schemas.tables import FRAMES
from stages.core.engine.progress import SilentProgress
from stages.core.media.ffmpeg import ffmpeg_binary
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.extract_frames.log import Log
from stages.extract_frames.sources import find_videos
from stages.extract_frames.stage import STAGE
from stages.extract_frames.streaming import VideoStream

MakeVideo = Callable[..., Path]
X264 = ("-c:v", "libx264", "-g", "12", "-movflags", "+faststart")
FORMATS = [
    ("a.mp4", X264),
    ("a.mkv", ("-c:v", "ffv1")),
    ("a.avi", ("-c:v", "mpeg4")),
    ("a.mpg", ("-c:v", "mpeg2video")),
]


def flipped(path: Path, bytes_: int = 0) -> Path:
    """Damage bytes in the middle of a file, a tenth of it unless told otherwise."""
    content = bytearray(path.read_bytes())
    source = random.Random(0)
    bytes_ = bytes_ or len(content) // 10
    for position in range(len(content) // 2, len(content) // 2 + bytes_):
        content[position] ^= source.randrange(1, 256)
    path.write_bytes(content)
    return path


def extract(run_stage: Callable, out: Path, *videos: Path, **settings: object):
    progress = SilentProgress()
    outcome = run_stage(
        STAGE, ExtractConfig(**settings), ExtractInputs(videos), out, progress=progress
    )
    return outcome, progress.warnings


@pytest.mark.parametrize(("name", "options"), FORMATS)
def test_a_damaged_video_fails_with_the_number_of_errors(
    run_stage: Callable, make_video: MakeVideo, tmp_path: Path, name: str, options: tuple
) -> None:
    video = make_video(name, frames=30, size="160x120", options=options)
    whole, _ = extract(run_stage, tmp_path / "whole", video)
    assert whole.counts["decoding errors"] == 0
    flipped(video)
    with pytest.raises(CorruptInput, match=r"has \d+ decoding errors?, first: \w"):
        extract(run_stage, tmp_path / "frames", video)
    outcome, warnings = extract(run_stage, tmp_path / "kept", video, keep_damaged=True)
    assert outcome.counts["decoding errors"] > 0
    assert outcome.counts["damaged videos"] == 1
    assert 20 < outcome.counts["frames"] <= 30
    assert len(warnings) == 1
    assert "damaged in a" in warnings[0]
    table = read_table(tmp_path / "kept" / FRAMES_TABLE, FRAMES)
    assert table.column_names == FRAMES.schema.names


def test_errors_of_a_kept_unit_are_counted_in_the_next_run(
    run_stage: Callable, make_video: MakeVideo, tmp_path: Path
) -> None:
    bad = flipped(make_video("bad.mp4", frames=30, size="160x120", options=X264))
    first, _ = extract(run_stage, tmp_path / "out", bad, keep_damaged=True)
    good = make_video("good.mp4", frames=3)
    second, _ = extract(run_stage, tmp_path / "out", bad, good, keep_damaged=True)
    assert second.counts["videos kept from before"] == 1
    assert second.counts["decoding errors"] == first.counts["decoding errors"] > 0


@pytest.mark.parametrize(("name", "damage"), [("biker.mp4", "cut"), ("hummingbird.mp4", "flip")])
def test_real_videos_that_are_damaged(
    run_stage: Callable, real_video: Callable, tmp_path: Path, name: str, damage: str
) -> None:
    content = real_video(name).read_bytes()
    video = tmp_path / name
    video.write_bytes(content if damage == "flip" else content[: len(content) * 3 // 5])
    if damage == "flip":
        flipped(video, 2000)
    with pytest.raises(CorruptInput, match=r"has [\d,]+ decoding error"):
        extract(run_stage, tmp_path / "out", video, short_side=72, stride=20)


def test_a_damaged_stream_says_so(make_video: MakeVideo) -> None:
    # No packet of it is refused, so that ffmpeg alone would call it whole.
    video = flipped(make_video("a.mkv", frames=30, options=("-c:v", "ffv1")), 20)
    frames = iter(VideoStream(video))
    with pytest.raises(CorruptInput, match=r"a\.mkv: has 1 decoding error, first: slice CRC"):
        list(frames)


def test_messages_that_mean_no_damage() -> None:
    log = Log().read(
        [
            "[h264 @ 0x1] [error] found while the header was read",
            "[info] Stream mapping:",
            "[h264 @ 0x1] [error] co located POCs unavailable",
            "[h264 @ 0x1] [warning] something else",
            "[dec:h264 @ 0x1] [warning] corrupt decoded frame",
            "[h264 @ 0x1] [error] error while decoding MB 1 2, bytestream -5",
        ]
    )
    assert log.damage == ["corrupt decoded frame", "error while decoding MB 1 2, bytestream -5"]


def test_a_seek_into_an_open_group_of_pictures_is_no_damage(
    run_stage: Callable, make_video: MakeVideo, tmp_path: Path
) -> None:
    options = ("-c:v", "libx264", "-g", "12", "-x264-params", "open-gop=1:bframes=3")
    video = make_video("a.mp4", frames=50, size="128x96", rate="25", options=options)
    for number, start in enumerate((0.3, 0.7, 1.1)):
        outcome, _ = extract(run_stage, tmp_path / str(number), video, start=start)
        assert outcome.counts["frames"] == round((2 - start) * 25)


@pytest.mark.parametrize("format", ["jpg", "png"])
def test_a_start_behind_the_end_says_how_long_the_video_is(
    run_stage: Callable, make_video: MakeVideo, tmp_path: Path, format: str
) -> None:
    with pytest.raises(
        CorruptInput, match=r"a\.mp4: has no frame after --start 99, it is 2 s long$"
    ):
        extract(
            run_stage, tmp_path / "out", make_video("a.mp4", frames=20), start=99.0, format=format
        )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "list.m3u8",
            "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nother.ts\n#EXT-X-ENDLIST\n",
        ),
        ("list.mp4", "ffconcat version 1.0\nfile other.ts\n"),
    ],
    ids=["hls", "concat"],
)
def test_playlists_are_not_followed(
    run_stage: Callable, make_video: MakeVideo, tmp_path: Path, name: str, text: str
) -> None:
    other = make_video("other.ts", frames=3, options=("-c:v", "mpeg2video"))
    playlist = other.with_name(name)
    playlist.write_text(text)
    with pytest.raises(CorruptInput, match=r"list\.\w+: is a playlist"):
        extract(run_stage, tmp_path / "out", playlist)
    with pytest.raises(CorruptInput, match=r"list\.\w+: is a playlist"):
        list(VideoStream(playlist))


def test_a_name_is_no_pattern_of_images(
    run_stage: Callable, make_video: MakeVideo, tmp_path: Path
) -> None:
    folder = make_video("first.png", frames=1, options=()).parent
    for number in range(3):
        (folder / f"a{number}.png").write_bytes((folder / "first.png").read_bytes())
    pattern = folder / "a%d.png"
    pattern.write_bytes((folder / "first.png").read_bytes())
    with pytest.raises(CorruptInput, match="is a playlist or another list of files"):
        extract(run_stage, tmp_path / "out", pattern)


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder with a video's name for everything that is no file."""
    folder = tmp_path / "odd"
    (folder / "folder.mp4").mkdir(parents=True)
    (folder / "gone.mp4").symlink_to(folder / "nowhere.mp4")
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    os.mkfifo(folder / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "sock.mp4"))
    return folder


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("folder", "is a folder, not a video file"),
        ("gone", "is a link to a missing file"),
        ("loop", "is a link that leads to itself"),
        ("pipe", "is a named pipe, not a video file"),
        ("sock", "is a socket, not a video file"),
    ],
)
def test_what_has_the_name_of_a_video_and_is_none(odd: Path, name: str, reason: str) -> None:
    with pytest.raises(MissingInput, match=f"{name}.mp4: {reason}"):
        ExtractInputs((odd / f"{name}.mp4",)).digests()
    for path in odd.iterdir():
        if path.stem != name:
            path.rmdir() if path.name == "folder.mp4" else path.unlink()
    (odd / "good.mp4").touch()
    with pytest.raises(MissingInput, match=f"{name}.mp4: {reason}; remove"):
        find_videos([odd])


def test_many_of_them_are_one_line(odd: Path) -> None:
    with pytest.raises(
        MissingInput, match=r"folder\.mp4: is a folder.*\(and 4 more in this folder\)"
    ):
        find_videos([odd])


@pytest.mark.parametrize("name", ["receipt.json", "Propagation.parquet", "JPEGImages"])
def test_a_name_of_tgls_own_outputs_is_refused(make_video: MakeVideo, name: str) -> None:
    video = make_video("a.mp4", frames=1)
    video = video.rename(video.with_name(f"{name}.mp4"))
    with pytest.raises(UnsafeName, match="rename the video"):
        ExtractInputs((video,)).digests()


def test_a_video_that_fails_keeps_its_earlier_frames(
    run_stage: Callable, make_video: MakeVideo, tmp_path: Path
) -> None:
    bad = make_video("bad.mp4", frames=30, size="160x120", options=X264)
    good = make_video("good.mp4", frames=3)
    out = tmp_path / "out"
    extract(run_stage, out, bad, good)
    before = read_table(out / FRAMES_TABLE, FRAMES)
    content = bad.read_bytes()
    flipped(bad)
    for _ in range(2):  # kept frames are no finished unit, and are not lost in the run after that
        outcome, _ = extract(run_stage, out, bad, good)
        assert len(outcome.failures) == 1
        assert outcome.failures["bad"].endswith("; its frames of the earlier run are kept")
        assert read_table(out / FRAMES_TABLE, FRAMES).equals(before)
        assert len(list((out / "JPEGImages" / "bad").iterdir())) == 30
    bad.write_bytes(content)
    outcome, _ = extract(run_stage, out, bad, good)
    assert outcome.failures == {}
    assert outcome.counts["frames"] == 33


def test_a_transport_stream_is_whole(
    run_stage: Callable, make_video: MakeVideo, tmp_path: Path
) -> None:
    video = make_video("a.ts", frames=10, options=("-c:v", "libx264"))
    subprocess.run(
        [ffmpeg_binary(), "-v", "error", "-i", str(video), "-f", "null", "-"], check=True
    )
    assert extract(run_stage, tmp_path / "out", video)[0].counts["frames"] == 10

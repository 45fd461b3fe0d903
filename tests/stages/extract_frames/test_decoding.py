"""The effect of each setting on the frames, and videos that can be read."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from schemas.errors import ConfigError
from schemas.layouts import FRAMES_TABLE
from schemas.parquet import read_table
from schemas.tables import FRAMES
from stages.core.media.ffmpeg import ffmpeg_binary
from stages.core.media.frames import read_frame
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.extract_frames.stage import STAGE

MakeVideo = Callable[..., Path]
LOSSLESS = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "0")


@pytest.fixture
def rows(run_stage: Callable, tmp_path: Path) -> Callable:
    """`rows(video, **settings)`: the frames table as dictionaries, with `pixels` arrays."""

    def extract(video: Path, **settings: object) -> list[dict]:
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        run_stage(STAGE, ExtractConfig(**settings), ExtractInputs((video,)), out)
        found = read_table(out / FRAMES_TABLE, FRAMES).to_pylist()
        return [{**row, "pixels": read_frame(out / row["path"])} for row in found]

    return extract


def test_stride_and_names_of_ref_youtube_vos(make_video: MakeVideo, rows: Callable) -> None:
    video = make_video("a.mp4", frames=12)
    plain = rows(video, stride=5)
    assert [row["name"] for row in plain] == ["00000", "00001", "00002"]
    named = rows(video, stride=5, frame_names="ref-youtube-vos")
    assert [row["name"] for row in named] == ["00000", "00005", "00010"]
    assert [row["pts_seconds"] for row in named] == [0, 0.5, 1.0]
    assert [row["sha256"] for row in named] == [row["sha256"] for row in plain]
    assert rows(video, digits=8)[0]["name"] == "00000000"


def test_start_and_end_keep_the_videos_own_clock(make_video: MakeVideo, rows: Callable) -> None:
    video = make_video("a.mp4", frames=30)
    found = rows(video, start=1.0, end=1.5)
    assert [row["pts_seconds"] for row in found] == [1.0, 1.1, 1.2, 1.3, 1.4]
    whole = rows(video)
    assert [row["sha256"] for row in found] == [row["sha256"] for row in whole[10:15]]


def test_fps_resamples(make_video: MakeVideo, rows: Callable) -> None:
    found = rows(make_video("a.mp4", frames=20), fps=5.0)
    assert [row["pts_seconds"] for row in found] == [n / 5 for n in range(10)]


def test_fps_within_a_part(make_video: MakeVideo, rows: Callable) -> None:
    found = rows(make_video("a.mp4", frames=30), fps=5.0, start=1.0, end=2.0)
    assert [row["pts_seconds"] for row in found] == [1.0, 1.2, 1.4, 1.6, 1.8]


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"short_side": 24}, (24, 32)),
        ({"size": "50x30"}, (30, 50)),
        ({}, (48, 64)),
    ],
)
def test_sizes(make_video: MakeVideo, rows: Callable, settings: dict, size: tuple) -> None:
    row = rows(make_video("a.mp4", frames=1), **settings)[0]
    assert (row["height"], row["width"]) == row["pixels"].shape[:2] == size


def test_png_is_lossless(make_video: MakeVideo, rows: Callable) -> None:
    options = ("-c:v", "libx264rgb", "-preset", "ultrafast", "-qp", "0")
    video = make_video("a.mkv", frames=2, options=options)
    command = [ffmpeg_binary(), "-v", "error", "-i", str(video), "-f", "rawvideo"]
    raw = subprocess.run([*command, "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
    truth = np.frombuffer(raw.stdout, np.uint8).reshape(2, 48, 64, 3)
    found = np.stack([row["pixels"] for row in rows(video, format="png")])
    assert np.array_equal(found, truth)


@pytest.mark.parametrize("optimize", [False, True])
def test_pixels_are_ffmpegs(
    make_video: MakeVideo, rows: Callable, tmp_path: Path, optimize: bool
) -> None:
    video = make_video("a.mp4", frames=3)
    (tmp_path / "bare").mkdir()
    bare = [ffmpeg_binary(), "-v", "error", "-i", str(video), "-q:v", "7"]
    subprocess.run([*bare, str(tmp_path / "bare" / "%05d.jpg")], check=True)
    for number, row in enumerate(rows(video, quality=7, optimize=optimize), start=1):
        truth = tmp_path / "bare" / f"{number:05d}.jpg"
        assert np.array_equal(row["pixels"], read_frame(truth))
        same_bytes = row["sha256"] == hashlib.sha256(truth.read_bytes()).hexdigest()
        assert same_bytes is optimize
        assert row["bytes"] >= truth.stat().st_size


def test_rotation_metadata_is_honoured(
    make_video: MakeVideo, rows: Callable, tmp_path: Path
) -> None:
    upright = make_video("a.mp4", frames=1, options=LOSSLESS)
    turned = tmp_path / "turned.mp4"
    command = [ffmpeg_binary(), "-v", "error", "-display_rotation", "90", "-i", str(upright)]
    subprocess.run([*command, "-c", "copy", str(turned)], check=True)
    row = rows(turned, format="png")[0]
    assert (row["height"], row["width"]) == (64, 48)
    truth = np.rot90(rows(upright, format="png")[0]["pixels"])
    assert np.abs(row["pixels"].astype(int) - truth).mean() < 2  # chroma is resampled


HDR = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"


@pytest.mark.parametrize("image_format", ["jpg", "png"])
@pytest.mark.parametrize("filters", ["null", HDR], ids=["sdr", "hdr"])
def test_ten_bit_and_hdr_become_eight_bit(
    make_video: MakeVideo, rows: Callable, filters: str, image_format: str
) -> None:
    options = (*LOSSLESS, "-pix_fmt", "yuv420p10le")
    video = make_video("ten.mp4", frames=2, filters=filters, options=options)
    found = rows(video, format=image_format)
    assert len(found) == 2
    assert found[0]["pixels"].dtype == np.uint8
    assert found[0]["pixels"].std() > 20  # not a grey field


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.avi", ("-c:v", "mpeg4")),
        ("a.webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-pix_fmt", "yuva420p")),
        ("a.gif", ()),
        ("a.mpg", ("-c:v", "mpeg2video")),
        ("a.mov", ("-c:v", "prores_ks", "-pix_fmt", "yuva444p10le")),
        ("a.y4m", ("-pix_fmt", "gray")),
    ],
)
def test_containers_and_codecs(
    make_video: MakeVideo, rows: Callable, name: str, options: tuple[str, ...]
) -> None:
    found = rows(make_video(name, frames=5, rate="25", options=options))
    assert len(found) >= 5
    assert found[0]["pixels"].shape == (48, 64, 3)
    seconds = [row["pts_seconds"] for row in found]
    assert abs(seconds[0]) < 0.01  # containers that begin later than 0 are shifted
    assert np.allclose(np.diff(seconds[:5]), 1 / 25, atol=0.011)  # gif counts in 1/100 s


def test_names_that_ffmpeg_could_misread(make_video: MakeVideo, rows: Callable) -> None:
    video = make_video("plain.mp4", frames=2)
    odd = video.with_name("100% of 'a', concat -vf x.mp4")
    video.rename(odd)
    assert len(rows(odd)) == 2


@pytest.mark.parametrize("size", ["854", "0x480", "axb", "854x480x3", "854X480", "-8x8"])
def test_wrong_sizes_are_refused(size: str) -> None:
    with pytest.raises(ConfigError, match="--size"):
        ExtractConfig(size=size)


def test_two_sizes_contradict() -> None:
    with pytest.raises(ConfigError, match="--short-side"):
        ExtractConfig(size="64x48", short_side=48)

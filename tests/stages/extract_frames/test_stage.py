"""extract-frames through execute(): artifact, skip, rerun, resumption, damaged videos."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from schemas.directories import list_folder
from schemas.errors import ConfigError, CorruptInput, MissingInput, OutputBlocked, UnsafeName
from schemas.layouts import FRAMES_TABLE
from schemas.parquet import read_table
from schemas.tables import FRAMES
from stages.core.engine.execute import Outcome
from stages.core.media.ffmpeg import ffmpeg_binary
from stages.core.media.frames import read_frame
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.extract_frames.stage import STAGE
from stages.extract_frames.streaming import VideoStream

Run = Callable[..., Outcome]
MakeVideo = Callable[..., Path]


def _videos(make_video: MakeVideo, count: int) -> ExtractInputs:
    return ExtractInputs(tuple(make_video(f"v{n}.mp4", frames=4 + n) for n in range(count)))


def test_writes_frames_and_a_row_for_each(
    run_stage: Run, make_video: MakeVideo, tmp_path: Path
) -> None:
    inputs = _videos(make_video, 2)
    outcome = run_stage(STAGE, ExtractConfig(), inputs, tmp_path / "frames")
    table = read_table(tmp_path / "frames" / FRAMES_TABLE, FRAMES)
    assert outcome.counts["frames"] == table.num_rows == 4 + 5
    first = table.to_pylist()[0]
    assert first["path"] == "JPEGImages/v0/00000.jpg"
    assert (first["width"], first["height"]) == (64, 48)
    assert read_frame(tmp_path / "frames" / first["path"]).shape == (48, 64, 3)
    files = {p.name for p in (tmp_path / "frames" / "JPEGImages" / "v1").iterdir()}
    assert files == {f"{n:05d}.jpg" for n in range(5)}


def test_second_run_skips_and_other_settings_run_again(
    run_stage: Run, make_video: MakeVideo, tmp_path: Path
) -> None:
    inputs = _videos(make_video, 1)
    assert not run_stage(STAGE, ExtractConfig(), inputs, tmp_path / "frames").skipped
    again = run_stage(STAGE, ExtractConfig(), inputs, tmp_path / "frames")
    assert again.skipped
    assert again.counts["frames"] == 4
    other = run_stage(STAGE, ExtractConfig(stride=2), inputs, tmp_path / "frames")
    assert not other.skipped
    assert other.counts["frames"] == 2
    assert len(list((tmp_path / "frames" / "JPEGImages" / "v0").iterdir())) == 2


def test_a_changed_video_alone_is_worked_again(
    run_stage: Run, make_video: MakeVideo, tmp_path: Path
) -> None:
    inputs = _videos(make_video, 2)
    run_stage(STAGE, ExtractConfig(), inputs, tmp_path / "frames")
    make_video("v0.mp4", frames=7)
    outcome = run_stage(STAGE, ExtractConfig(), inputs, tmp_path / "frames")
    assert outcome.counts["videos kept from before"] == 1
    assert outcome.counts["frames"] == 7 + 5


def test_killed_run_resumes_with_the_same_artifact(
    run_stage: Run, killed_run: Callable[..., None], make_video: MakeVideo, tmp_path: Path
) -> None:
    inputs = _videos(make_video, 3)
    run_stage(STAGE, ExtractConfig(), inputs, tmp_path / "whole")
    out = tmp_path / "frames"
    killed_run(STAGE, ExtractConfig(), inputs, out, after=5)  # in the second video
    assert not out.exists()
    outcome = run_stage(STAGE, ExtractConfig(), inputs, out)
    assert outcome.counts["videos kept from before"] == 1
    assert list_folder(out) == list_folder(tmp_path / "whole")


def test_a_lost_frame_is_restored(run_stage: Run, make_video: MakeVideo, tmp_path: Path) -> None:
    inputs = _videos(make_video, 2)
    run_stage(STAGE, ExtractConfig(), inputs, tmp_path / "frames")
    before = list_folder(tmp_path / "frames")
    (tmp_path / "frames" / "JPEGImages" / "v1" / "00002.jpg").unlink()
    outcome = run_stage(STAGE, ExtractConfig(), inputs, tmp_path / "frames")
    assert not outcome.skipped
    assert outcome.counts["videos kept from before"] == 1
    assert list_folder(tmp_path / "frames") == before


@pytest.mark.parametrize("movflags", ["+faststart", "+empty_moov+frag_keyframe"])
def test_truncated_video_is_named_and_the_others_go_on(
    run_stage: Run, make_video: MakeVideo, tmp_path: Path, movflags: str
) -> None:
    options = ("-c:v", "libx264", "-g", "5", "-movflags", movflags)
    long = make_video("long.mp4", frames=40, size="160x120", options=options)
    whole = long.read_bytes()
    long.write_bytes(whole[: len(whole) * 6 // 10])
    good = make_video("good.mp4", frames=3)
    outcome = run_stage(STAGE, ExtractConfig(), ExtractInputs((long, good)), tmp_path / "frames")
    assert outcome.counts["failed videos"] == 1
    assert len(outcome.failures) == 1
    assert "long.mp4" in outcome.failures["long"]
    assert "\n" not in outcome.failures["long"]
    assert outcome.counts["frames"] == 3
    assert not (tmp_path / "frames" / "JPEGImages" / "long").exists()
    long.write_bytes(whole)
    again = run_stage(STAGE, ExtractConfig(), ExtractInputs((long, good)), tmp_path / "frames")
    assert again.failures == {}
    assert again.counts["frames"] == 3 + 40


def test_a_run_of_nothing_but_corrupt_videos_fails(
    run_stage: Run, make_video: MakeVideo, tmp_path: Path
) -> None:
    broken = make_video("broken.mp4")
    broken.write_bytes(broken.read_bytes()[:200])
    noise = tmp_path / "noise.avi"
    noise.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(CorruptInput, match=r"\.(mp4|avi): cannot be decoded"):
        run_stage(STAGE, ExtractConfig(), ExtractInputs((broken, noise)), tmp_path / "frames")
    assert not (tmp_path / "frames").exists()


def test_exact_time_stamps_of_a_variable_frame_rate(
    run_stage: Run, make_video: MakeVideo, tmp_path: Path
) -> None:
    chosen = "select='eq(n,0)+eq(n,1)+eq(n,4)+eq(n,9)'"
    video = make_video("vfr.mkv", frames=4, rate="24000/1001", filters=chosen)
    run_stage(STAGE, ExtractConfig(), ExtractInputs((video,)), tmp_path / "frames")
    table = read_table(tmp_path / "frames" / FRAMES_TABLE, FRAMES)
    seconds = table.column("pts_seconds").to_pylist()
    exact = [n * 1001 / 24000 for n in (0, 1, 4, 9)]
    assert seconds == [round(s, 3) for s in exact]  # Matroska stores milliseconds
    mp4 = make_video("vfr.mp4", frames=4, rate="24000/1001", filters=chosen)
    run_stage(STAGE, ExtractConfig(), ExtractInputs((mp4,)), tmp_path / "mp4")
    seconds = read_table(tmp_path / "mp4" / FRAMES_TABLE, FRAMES).column("pts_seconds").to_pylist()
    assert seconds == exact  # a time base of 1/24000 holds them exactly


_BURST = [*range(20), *range(21, 81, 3)]
"""Frames of a video at 25 a second: most are further apart than the first ones, so that two of
those fall on one count at the mean rate, which Matroska's header has after a copy."""


@pytest.mark.parametrize(
    ("name", "filters", "expected"),
    [
        ("variable.mp4", "select='lt(n,20)+not(mod(n,3))'", _BURST),
        ("repeated.mkv", "setpts='floor(N/2)*2/25/TB'", [n // 2 * 2 for n in range(40)]),
    ],
)
def test_every_frame_is_kept_whatever_its_time_stamp(
    run_stage: Run,
    make_video: MakeVideo,
    tmp_path: Path,
    name: str,
    filters: str,
    expected: list[int],
) -> None:
    timing = ("-fps_mode", "passthrough", "-enc_time_base", "1:12800")
    options = (*timing, "-c:v", "libx264" if name.endswith("mp4") else "ffv1")
    made = make_video(name, frames=40, rate="25", size="320x240", filters=filters, options=options)
    video = made.with_name("copy.mkv")
    copy = [ffmpeg_binary(), "-v", "error", "-i", str(made), "-c", "copy", str(video)]
    subprocess.run(copy, check=True)
    run_stage(STAGE, ExtractConfig(format="png"), ExtractInputs((video,)), tmp_path / "frames")
    table = read_table(tmp_path / "frames" / FRAMES_TABLE, FRAMES)
    assert table.column("pts_seconds").to_pylist() == [round(n / 25, 3) for n in expected]
    frames = [read_frame(tmp_path / "frames" / name) for name in table.column("path").to_pylist()]
    assert len({frame.tobytes() for frame in frames}) == len(expected)
    streamed = [frame.tobytes() for frame in VideoStream(video)]
    assert streamed == [frame.tobytes() for frame in frames]


def test_audio_is_ignored(run_stage: Run, make_video: MakeVideo, tmp_path: Path) -> None:
    silent = make_video("a.mp4", frames=5)
    with_audio = tmp_path / "b.mp4"
    tone = ["-f", "lavfi", "-i", "sine=duration=3"]
    merge = ["-map", "1:a", "-map", "0:v", "-c:v", "copy", "-c:a", "aac", str(with_audio)]
    command = [ffmpeg_binary(), "-v", "error", "-i", str(silent), *tone, *merge]
    subprocess.run(command, check=True)
    outcome = run_stage(STAGE, ExtractConfig(), ExtractInputs((with_audio,)), tmp_path / "frames")
    assert outcome.counts["frames"] == 5


def test_a_file_without_frames_is_refused(run_stage: Run, tmp_path: Path) -> None:
    tone = tmp_path / "tone.wav"
    command = [ffmpeg_binary(), "-v", "error", "-f", "lavfi", "-i", "sine=duration=1", str(tone)]
    subprocess.run(command, check=True)
    with pytest.raises(CorruptInput, match=r"tone\.wav: has no video stream, only sound"):
        run_stage(STAGE, ExtractConfig(), ExtractInputs((tone,)), tmp_path / "frames")
    with pytest.raises(CorruptInput, match=r"tone\.wav: has no video stream, only sound"):
        next(iter(VideoStream(tone)))


def test_inputs_are_checked_before_work(
    run_stage: Run, make_video: MakeVideo, tmp_path: Path
) -> None:
    video = make_video("a.mp4", frames=2)
    twin = tmp_path / "a.avi"
    shutil.copy(video, twin)
    with pytest.raises(ConfigError, match="same name"):
        run_stage(STAGE, ExtractConfig(), ExtractInputs((video, twin)), tmp_path / "o")
    absent = ExtractInputs((tmp_path / "absent.mp4",))
    with pytest.raises(MissingInput, match=r"absent\.mp4"):
        run_stage(STAGE, ExtractConfig(), absent, tmp_path / "o")
    hidden = tmp_path / "..mp4"
    shutil.copy(video, hidden)
    with pytest.raises(UnsafeName):
        run_stage(STAGE, ExtractConfig(), ExtractInputs((hidden,)), tmp_path / "o")
    with pytest.raises(ConfigError, match="--end"):
        ExtractConfig(start=2.0, end=1.0)


def test_a_foreign_output_folder_is_left_alone(
    run_stage: Run, make_video: MakeVideo, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputBlocked, match="did not write"):
        run_stage(STAGE, ExtractConfig(), _videos(make_video, 1), tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"


def test_workers_do_not_change_the_artifact(
    run_stage: Run, make_video: MakeVideo, tmp_path: Path
) -> None:
    inputs = _videos(make_video, 3)
    run_stage(STAGE, ExtractConfig(), inputs, tmp_path / "one", workers=1)
    run_stage(STAGE, ExtractConfig(), inputs, tmp_path / "two", workers=2)
    assert list_folder(tmp_path / "one") == list_folder(tmp_path / "two")


@pytest.mark.parametrize(("name", "frames"), [("biker.mp4", 239), ("hummingbird.mp4", 176)])
def test_real_videos(
    run_stage: Run, real_video: Callable[[str], Path], tmp_path: Path, name: str, frames: int
) -> None:
    config = ExtractConfig(short_side=72)  # decoding is the point; small frames are quick
    video = real_video(name)
    outcome = run_stage(STAGE, config, ExtractInputs((video,)), tmp_path / "frames")
    assert outcome.counts["frames"] == frames
    table = pq.read_table(tmp_path / "frames" / FRAMES_TABLE)
    seconds = table.column("pts_seconds").to_numpy()
    assert np.allclose(np.diff(seconds), 1 / (25 if name == "biker.mp4" else 24), atol=1e-9)


def test_a_full_disk_ends_the_run_and_keeps_finished_videos(
    run_stage: Run, make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_video("a.mp4", frames=2)
    second = make_video("b.mp4", frames=4)
    fake = tmp_path / "ffmpeg"
    fake.write_text(
        f'#!/bin/sh\ncase "$*" in *b.mp4*0*d.jpg*) '
        "echo '[error] write_frame(): No space left on device' >&2; exit 228;; esac\n"
        f'exec {ffmpeg_binary()} "$@"\n'
    )
    fake.chmod(0o755)
    inputs = ExtractInputs((first, second))
    with monkeypatch.context() as patch:
        patch.setattr("stages.extract_frames.decoding.ffmpeg_binary", lambda: str(fake))
        with pytest.raises(OutputBlocked, match="the disk is full"):
            run_stage(STAGE, ExtractConfig(), inputs, tmp_path / "frames")
    assert not (tmp_path / "frames").exists()
    outcome = run_stage(STAGE, ExtractConfig(), inputs, tmp_path / "frames")
    assert outcome.counts["videos kept from before"] == 1
    assert outcome.counts["frames"] == 2 + 4

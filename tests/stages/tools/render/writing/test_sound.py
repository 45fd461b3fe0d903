"""The sound of the source video in overlays of its frames, or a line that says why not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.errors import ConfigError
from stages.core.engine.execute import Outcome
from stages.core.engine.progress import SilentProgress
from stages.core.media.ffmpeg import ffmpeg_binary
from stages.extract_frames.config import ExtractConfig, ExtractInputs
from stages.extract_frames.stage import STAGE as EXTRACT
from stages.tools.render.config import RenderConfig, RenderInputs
from stages.tools.render.stage import STAGE
from stages.tools.render.writing.sound import probe_audio

Run = Callable[..., Outcome]
RATE, SECONDS = 8000, 2
BARE = RenderConfig(keep_audio=True, bare=True, quality=40)


def ffmpeg(*arguments: object) -> bytes:
    command = [ffmpeg_binary(), "-loglevel", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of video; its sound is silent but for a tone from 0.5 to 1 s."""
    path = tmp_path_factory.mktemp("videos") / "clip.mp4"
    tone = "aevalsrc='0.5*sin(2*PI*440*t)*between(t,0.5,1)':s=8000:d=2"
    video = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=10:d=2", "-f", "lavfi", "-i", tone)
    ffmpeg(*video, "-c:v", "libx264", "-c:a", "aac", "-shortest", path)
    return path


def predictions(run_stage: Run, clip: Path, root: Path, **settings: object) -> RenderInputs:
    """Frames of the clip, a mask for each, and the clip as their source."""
    run_stage(EXTRACT, ExtractConfig(**settings), ExtractInputs((clip,)), root / "frames")
    folder = root / "preds" / clip.stem / "0"
    folder.mkdir(parents=True)
    for frame in (root / "frames" / "JPEGImages" / clip.stem).iterdir():
        Image.fromarray(np.eye(48, 64, dtype=np.uint8) * 255).save(folder / f"{frame.stem}.png")
    return RenderInputs(root / "preds", root / "frames", source=clip)


def sound(path: Path) -> np.ndarray:
    """Loudness of the video's sound, float (samples,)."""
    raw = ffmpeg("-i", path, "-map", "0:a:0", "-ac", 1, "-ar", RATE, "-f", "s16le", "-")
    return np.abs(np.frombuffer(raw, np.int16).astype(float)) / 32768


def tone(path: Path) -> tuple[float, float, float]:
    """Start and end of the tone, and the length of the sound, in seconds."""
    heard = sound(path)
    loud = np.flatnonzero(heard > 0.2)
    return loud[0] / RATE, loud[-1] / RATE, len(heard) / RATE


def render(run_stage: Run, inputs: RenderInputs, out: Path, config: RenderConfig) -> list[str]:
    """Warnings of a run that draws one overlay."""
    progress = SilentProgress()
    outcome = run_stage(STAGE, config, inputs, out, progress=progress)
    assert outcome.counts["overlays without sound"] == len(progress.warnings)
    return progress.warnings


@pytest.mark.parametrize("folder", [False, True])
def test_the_overlay_has_the_sound_of_its_video(
    run_stage: Run, clip: Path, tmp_path: Path, folder: bool
) -> None:
    inputs = predictions(run_stage, clip, tmp_path)
    inputs = replace(inputs, source=clip.parent if folder else clip)
    assert not render(run_stage, inputs, tmp_path / "out", BARE)
    path = tmp_path / "out" / "clip" / "sentences-0.mp4"
    assert tone(path) == pytest.approx((0.5, 1.0, 2.0), abs=0.1)
    assert probe_audio(path).codec == "aac"
    streams = [
        ffmpeg("-i", p, "-map", "0:a:0", "-c", "copy", "-f", "adts", "-") for p in (clip, path)
    ]
    assert streams[0] == streams[1]  # copied, not encoded again
    render(run_stage, inputs, tmp_path / "again", BARE)
    assert (tmp_path / "again/clip/sentences-0.mp4").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(("format", "codec"), [("webm", "opus"), ("mov", "aac")])
def test_cut_outs_with_sound(
    run_stage: Run, clip: Path, tmp_path: Path, format: str, codec: str
) -> None:
    inputs = predictions(run_stage, clip, tmp_path)
    config = RenderConfig(style="cutout", format=format, keep_audio=True, quality=40)
    assert not render(run_stage, inputs, tmp_path / "out", config)
    path = tmp_path / "out" / "clip" / f"0.{format}"
    assert probe_audio(path).codec == codec
    assert tone(path) == pytest.approx((0.5, 1.0, 2.0), abs=0.1)


def test_a_part_of_the_video_has_its_part_of_the_sound(
    run_stage: Run, clip: Path, tmp_path: Path
) -> None:
    inputs = predictions(run_stage, clip, tmp_path, start=0.4, end=1.4, stride=2)
    assert not render(run_stage, inputs, tmp_path / "out", BARE)
    path = tmp_path / "out" / "clip" / "sentences-0.mp4"
    assert tone(path) == pytest.approx((0.1, 0.6, 1.0), abs=0.1)


def test_sound_beside_frames_at_uneven_times(run_stage: Run, clip: Path, tmp_path: Path) -> None:
    video = tmp_path / "uneven.mp4"
    uneven = ("-vf", "select=lt(n\\,8)+not(mod(n\\,5))", "-fps_mode", "vfr")
    ffmpeg("-i", clip, *uneven, "-c:v", "libx264", "-c:a", "copy", video)
    inputs = predictions(run_stage, video, tmp_path)
    assert not render(run_stage, inputs, tmp_path / "out", BARE)
    path = tmp_path / "out" / "uneven" / "sentences-0.mp4"
    showinfo = ("-vf", "showinfo", "-fps_mode", "passthrough", "-f", "null", "-")
    command = [ffmpeg_binary(), "-nostdin", "-i", str(path), *showinfo]
    log = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    times = [float(part.split()[0]) for part in log.split("pts_time:")[1:]]
    assert times == pytest.approx([*(n / 10 for n in range(8)), 1.0, 1.5], abs=0.001)
    assert tone(path) == pytest.approx((0.5, 1.0, 2.0), abs=0.1)


_REASONS = [
    ("other", True, {}, "is not the file that the frames were extracted from"),
    ("empty", True, {}, "no file is called clip.*"),
    ("videos", True, {"fps": 5.0}, "the frames take 2 s of it and are shown for 4 s"),
    ("silent", False, {}, "has no sound"),
    ("videos", False, {}, "times of the frames in it are not known"),
]


@pytest.mark.parametrize(("source", "known", "settings", "reason"), _REASONS)
def test_without_sound_the_reason_is_told(
    run_stage: Run,
    clip: Path,
    tmp_path: Path,
    source: str,
    known: bool,
    settings: dict,
    reason: str,
) -> None:
    """The frames' times and video are known from an artifact of extract-frames."""
    inputs = predictions(run_stage, clip, tmp_path)
    for name in ("other", "silent", "empty", "videos"):
        (tmp_path / name).mkdir()
    ffmpeg("-i", clip, "-an", "-c", "copy", tmp_path / "silent" / "clip.mp4")
    ffmpeg("-i", clip, "-c", "copy", "-t", 1, tmp_path / "other" / "clip.mp4")
    (tmp_path / "videos" / "clip.mp4").symlink_to(clip)
    if not known:
        (tmp_path / "frames" / "JPEGImages").rename(tmp_path / "bare")
        inputs = replace(inputs, frames=tmp_path / "bare")
    inputs = replace(inputs, source=tmp_path / source)
    (line,) = render(run_stage, inputs, tmp_path / "out", replace(BARE, **settings))
    assert line.startswith("clip: without sound: ")
    assert reason in line
    assert (tmp_path / "out" / "clip" / "sentences-0.mp4").is_file()


def test_the_options_need_each_other(run_stage: Run, world, tmp_path: Path, clip: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs the video.*--source"):
        run_stage(STAGE, BARE, world.inputs, tmp_path / "out")
    with pytest.raises(ConfigError, match="no effect without --keep-audio"):
        inputs = replace(world.inputs, source=clip)
        run_stage(STAGE, RenderConfig(), inputs, tmp_path / "out")

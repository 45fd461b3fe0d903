"""tgl segment with the settings of drawing that it shares with tgl render."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from schemas.errors import ConfigError
from stages.core.media.ffmpeg import ffmpeg_binary
from tglcli.main import app

FRAMES, HEIGHT, WIDTH = 4, 48, 64


def ffmpeg(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    command = [ffmpeg_binary(), "-nostdin", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four frames of a test pattern, 5 per second, with a tone."""
    path = tmp_path_factory.mktemp("videos") / "clip.mp4"
    pattern = ("-f", "lavfi", "-i", f"testsrc=size={WIDTH}x{HEIGHT}:rate=5")
    tone = ("-f", "lavfi", "-i", "sine=duration=0.8")
    ffmpeg(*pattern, *tone, "-t", 0.8, "-pix_fmt", "yuv420p", path)
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """One image, 63x47."""
    path = tmp_path / "shot.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (47, 63, 3), np.uint8)).save(path)
    return path


def run(checkpoint: Path, source: Path, out: Path, *options: object) -> Result:
    fixed = ("--checkpoint", checkpoint, "--workers", 1, "--device", "cpu")
    arguments = ("segment", source, "a cube", "the ball", "-o", out, *fixed, *options)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def read_rgba(video: Path) -> np.ndarray:
    """Every frame of a video with its alpha, (T, H, W, 4)."""
    codec = ("-c:v", "libvpx-vp9") if video.suffix == ".webm" else ()
    done = ffmpeg(*codec, "-i", video, "-f", "rawvideo", "-pix_fmt", "rgba", "-")
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, HEIGHT, WIDTH, 4)


def union(masks: Path, frame: int) -> np.ndarray:
    """All sentences' masks of a frame, bool (H, W)."""
    files = sorted(masks.glob(f"clip/*/{frame:05d}.png"))
    assert len(files) == 2
    return np.logical_or.reduce([np.asarray(Image.open(file)) > 0 for file in files])


@pytest.mark.parametrize("more", [(), ("--online",)], ids=["files", "stream"])
@pytest.mark.parametrize("suffix", [".webm", ".mov"])
def test_a_cut_out_of_a_video(
    checkpoint: Path, clip: Path, tmp_path: Path, suffix: str, more: tuple[str, ...]
) -> None:
    out, masks = tmp_path / f"o{suffix}", tmp_path / "masks"
    done = run(checkpoint, clip, out, "--style", "cutout", "--masks", masks, *more)
    assert done.exit_code == 0, repr(done.exception) + done.output
    frames = read_rgba(out)
    assert len(frames) == FRAMES
    for frame, pixels in enumerate(frames):
        assert ((pixels[..., 3] > 127) == union(masks, frame)).all()


def test_a_cut_out_of_an_image_is_a_png(checkpoint: Path, image: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.png"
    done = run(checkpoint, image, out, "--style", "cutout", "--masks", tmp_path / "masks")
    assert done.exit_code == 0, repr(done.exception) + done.output
    with Image.open(out) as cutout:
        assert (cutout.mode, cutout.size) == ("RGBA", (63, 47))
        alpha = np.asarray(cutout)[..., 3] > 0
    masks = [np.asarray(Image.open(path)) > 0 for path in (tmp_path / "masks").rglob("*.png")]
    assert (alpha == np.logical_or.reduce(masks)).all()


def test_a_bare_overlay_with_sound_in_the_size_of_the_video(
    checkpoint: Path, clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "o.mp4"
    done = run(checkpoint, clip, out, "--bare", "--labels", "number", "--keep-audio")
    assert done.exit_code == 0, repr(done.exception) + done.output
    header = ffmpeg("-i", out).stderr.decode()
    assert f" {WIDTH}x{HEIGHT}" in header
    assert "Audio: aac" in header
    assert "without sound" not in done.output
    plain = run(checkpoint, clip, tmp_path / "plain.mp4")
    assert plain.exit_code == 0
    assert "Audio" not in ffmpeg("-i", tmp_path / "plain.mp4").stderr.decode()


@pytest.mark.parametrize(
    ("source", "out", "options", "where", "message"),
    [
        ("clip", "o.webm", (), "--out", "--style cutout makes a video with transparency"),
        ("clip", "o.mp4", ("--style", "cutout"), "--out", ".webm, .mov or .png; these formats"),
        ("clip", "o.png", ("--style", "cutout"), "--out", "the cut-out of one image"),
        ("image", "o.mp4", ("--keep-audio",), "--keep-audio", "images have no sound"),
        ("clip", "o.gif", ("--keep-audio",), "--keep-audio", "gif has no sound"),
        ("clip", "o.mp4", ("--keep-audio", "--online"), "--keep-audio", "no effect with --online"),
        ("clip", "o.png", ("--style", "cutout", "--online"), "--out", "writes a .webm or .mov"),
    ],
)
def test_wrong_usage_is_one_line(
    checkpoint: Path, clip: Path, image: Path, tmp_path: Path,
    source: str, out: str, options: tuple[str, ...], where: str, message: str,
) -> None:  # fmt: skip
    done = run(checkpoint, clip if source == "clip" else image, tmp_path / out, *options)
    assert isinstance(done.exception, ConfigError), done.output
    assert done.exception.where == where
    assert message in str(done.exception)
    assert not (tmp_path / out).exists()

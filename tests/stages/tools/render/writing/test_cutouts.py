"""Cut-outs read back: alpha and colours of PNG, VP9 and ProRes, at odd sizes, at their times."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.errors import MissingInput
from stages.core.engine.execute import Outcome
from stages.core.media import ffmpeg
from stages.core.media.ffmpeg import ffmpeg_binary
from stages.tools.render.config import RenderConfig
from stages.tools.render.painting.cutout import cut_out
from stages.tools.render.stage import STAGE
from stages.tools.render.writing.videos import write_transparent

Run = Callable[..., Outcome]
HEIGHT, WIDTH, FRAMES = 61, 83, 4
UNEVEN = (0.0, 0.25, 1.0, 1.5, 2.0)
_DECODER = {".webm": ("-c:v", "libvpx-vp9"), ".mov": ()}


def cutouts() -> list[np.ndarray]:
    """A textured disc that moves, RGBA."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([columns * 3, rows * 4, rows + columns], -1).astype(np.uint8)
    discs = [(rows - 30) ** 2 + (columns - 30 - 8 * t) ** 2 < 400 for t in range(FRAMES)]
    return [cut_out(image, disc) for disc in discs]


def decoded(video: Path, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Every frame of a video with its alpha, uint8 (T, H, W, 4)."""
    command = [ffmpeg_binary(), "-loglevel", "error", *_DECODER[video.suffix], "-i", str(video)]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgba", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 4)


@pytest.mark.parametrize(
    ("suffix", "quality", "alpha_error", "colour_error"),
    [(".webm", 18, 8, 4.0), (".webm", 0, 0, 2.0), (".mov", 18, 0, 1.0)],
)
def test_alpha_and_colours_survive(
    tmp_path: Path, suffix: str, quality: int, alpha_error: int, colour_error: float
) -> None:
    wanted = np.stack(cutouts())
    for name in ("a", "b"):
        path = (tmp_path / name).with_suffix(suffix)
        write_transparent(path, iter(cutouts()), (HEIGHT, WIDTH), 10.0, quality)
    found = decoded(tmp_path / f"a{suffix}")
    assert found.shape == wanted.shape
    inside = wanted[..., 3] > 0
    assert ((found[..., 3] > 127) == inside).all()
    assert np.abs(found[..., 3].astype(int) - wanted[..., 3]).max() <= alpha_error
    error = np.abs(found[..., :3].astype(int) - wanted[..., :3])[inside]
    assert error.mean() <= colour_error
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", [".webm", ".mov"])
def test_uneven_times_are_kept(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_transparent(path, iter(cutouts()), (HEIGHT, WIDTH), 6.0, 30, UNEVEN)
    command = [ffmpeg_binary(), "-nostdin", "-i", str(path), "-vf", "showinfo"]
    command += ["-fps_mode", "passthrough", "-f", "null", "-"]
    log = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    times = [float(part.split()[0]) for part in log.split("pts_time:")[1:]]
    assert times == pytest.approx(UNEVEN[:-1], abs=0.001)
    assert (decoded(path)[..., 3] > 127).any(axis=(1, 2)).all()


def test_pngs_per_sentence_are_named_as_the_frames(run_stage: Run, world, tmp_path: Path) -> None:
    outcome = run_stage(STAGE, RenderConfig(style="cutout"), world.inputs, tmp_path / "out")
    assert outcome.counts["overlays"] == 4
    for video, expression in (("a", "0"), ("a", "1"), ("a", "2"), ("b", "0")):
        for frame in range(5):
            path = tmp_path / "out" / video / expression / f"{frame:05d}.png"
            mask = np.asarray(Image.open(world.mask(video, expression, frame)))
            image = np.asarray(Image.open(world.frame(video, frame)))
            cutout = np.asarray(Image.open(path))
            assert cutout.shape == (30, 40, 4)
            assert (cutout[..., 3] == mask).all()
            assert (cutout[mask > 0][:, :3] == image[mask > 0]).all()
    again = run_stage(STAGE, RenderConfig(style="cutout"), world.inputs, tmp_path / "out")
    assert again.skipped


@pytest.mark.parametrize("format", ["webm", "mov"])
def test_one_video_per_sentence_or_one_of_all(
    run_stage: Run, world, tmp_path: Path, format: str
) -> None:
    for frame in range(5):
        Image.fromarray(np.full((30, 40), 255, np.uint8)).save(world.mask("a", "2", frame))
    config = RenderConfig(style="cutout", format=format, only=("a",))
    run_stage(STAGE, config, world.inputs, tmp_path / "each")
    names = sorted(path.name for path in (tmp_path / "each" / "a").iterdir())
    assert names == [f"{number}.{format}" for number in (0, 1, 2)]
    alpha = [decoded(tmp_path / "each" / "a" / name, 30, 40)[..., 3] > 127 for name in names]
    assert [one.sum() for one in alpha] == [500, 0, 6000]
    config = RenderConfig(style="cutout", format=format, compare="sentences", only=("a",))
    run_stage(STAGE, config, world.inputs, tmp_path / "all")
    together = decoded(tmp_path / "all" / "a" / f"sentences-0-to-2.{format}", 30, 40)
    assert (together[..., 3] > 127).all()


def test_an_ffmpeg_without_the_encoder_is_one_line_before_any_work(
    run_stage: Run, world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffmpeg, "_encoders", lambda: frozenset(("libx264", "prores_ks")))
    config = RenderConfig(style="cutout", format="webm")
    with pytest.raises(MissingInput) as caught:
        run_stage(STAGE, config, world.inputs, tmp_path / "out")
    line = str(caught.value)
    assert line.startswith(f"{ffmpeg_binary()}: has no encoder libvpx-vp9; take another --format")
    assert "imageio-ffmpeg" in line
    assert not (tmp_path / "out").exists()


def test_this_ffmpeg_has_the_encoders() -> None:
    ffmpeg.require_encoders(["libx264", "libvpx-vp9", "prores_ks", "aac", "libopus"])
    with pytest.raises(MissingInput, match="has no encoder nothing-like-it"):
        ffmpeg.require_encoders(["aac", "nothing-like-it"])

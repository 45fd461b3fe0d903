"""GIFs keep within their limits: by fewer frames, then by smaller ones; the user is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.engine.execute import Outcome
from stages.core.engine.progress import SilentProgress
from stages.tools.render.config import RenderConfig
from stages.tools.render.stage import STAGE
from stages.tools.render.writing.gifs import spaced_frames, write_bounded_gif

Run = Callable[..., Outcome]


def noise(side: int, chosen: Sequence[int]) -> tuple[tuple[int, int], Iterator[np.ndarray]]:
    """Noise of few colours, which hardly compresses, each from its own number."""
    size = side, 2 * side
    frames = (
        np.random.default_rng(frame).integers(0, 8, (*size, 1), np.uint8).repeat(3, 2) * 32
        for frame in chosen
    )
    return size, frames


def even(frames: int, fps: float) -> list[float]:
    return [frame / fps for frame in range(frames + 1)]


@pytest.mark.parametrize(
    ("fps", "kept"), [(60, 15), (30, 15), (25, 12.5), (24, 12), (20, 10), (15, 15), (6, 6)]
)
def test_most_frames_per_second(fps: float, kept: float) -> None:
    frames = spaced_frames(even(round(4 * fps), fps), 15)
    assert len(frames) == 4 * kept
    assert spaced_frames(even(100, fps), 0) == list(range(100))


def test_frames_of_uneven_times_are_thinned_by_their_times() -> None:
    times = [0.0, 0.01, 0.02, 1.0, 1.2, 1.21, 5.0, 6.0]
    assert spaced_frames(times, 10) == [0, 3, 4, 6]


def test_a_gif_within_the_limits_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    gif = write_bounded_gif(path, noise, 40, even(6, 10), fps=15, megabytes=1)
    assert (gif.side, gif.frames) == (40, 6)
    with Image.open(path) as image:
        assert (image.size, image.n_frames, image.info["duration"]) == ((80, 40), 6, 100)


@pytest.mark.parametrize("frames", [8, 54])
def test_a_large_gif_becomes_smaller_until_it_fits(tmp_path: Path, frames: int) -> None:
    path, limit = tmp_path / "a.gif", frames * 0.0115
    gif = write_bounded_gif(path, noise, 128, even(frames, 10), fps=15, megabytes=limit)
    assert 0.7 * limit < gif.megabytes == path.stat().st_size / 1e6 <= limit
    assert 96 < gif.side < 128
    with Image.open(path) as image:
        assert image.size == (2 * gif.side, gif.side)
        assert image.n_frames == frames
        shown = 0
        for number in range(frames):
            image.seek(number)
            shown += image.info["duration"]
    assert shown == frames * 100  # it takes as long as the video


def test_what_cannot_fit_is_written_at_the_smallest_size(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    gif = write_bounded_gif(path, noise, 120, even(4, 10), fps=15, megabytes=0.01)
    assert gif.side == 96
    assert gif.megabytes > 0.01
    unbounded = write_bounded_gif(path, noise, 120, even(4, 10), fps=15, megabytes=0)
    assert unbounded.side == 120


def test_the_user_is_told_what_was_left_out(run_stage: Run, world, tmp_path: Path) -> None:
    for frame in range(5):  # GIFs show equal frames as one
        Image.new("RGB", (40, 30), (50 * frame, 90, 90)).save(world.frame("b", frame))
    config = RenderConfig(format="gif", only=("b",), bare=True, short_side=600)
    progress = SilentProgress()
    out = tmp_path / "out"
    outcome = run_stage(STAGE, replace(config, gif_fps=5), world.inputs, out, progress=progress)
    (line,) = progress.warnings
    assert line.startswith("b: the GIF has 640x480 instead of 800x600, 3 of 5 frames (0.0 MB")
    assert "--gif-width" in line
    assert outcome.counts["frames drawn"] == 3
    assert outcome.counts["GIFs reduced"] == 1
    with Image.open(out / "b" / "0.gif") as image:
        assert image.size == (640, 480)
    progress = SilentProgress()
    free = replace(config, gif_width=0, gif_fps=0, gif_megabytes=0)
    run_stage(STAGE, free, world.inputs, tmp_path / "free", progress=progress)
    assert not progress.warnings
    with Image.open(tmp_path / "free" / "b" / "0.gif") as image:
        assert (image.size, image.n_frames) == ((800, 600), 5)


def test_small_gifs_are_not_mentioned(run_stage: Run, world, tmp_path: Path) -> None:
    progress = SilentProgress()
    run_stage(STAGE, RenderConfig(format="gif"), world.inputs, tmp_path / "o", progress=progress)
    assert not progress.warnings

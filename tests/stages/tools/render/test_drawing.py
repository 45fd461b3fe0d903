"""Styles, labels and bare frames of the overlays, and settings that exclude each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.errors import ConfigError
from stages.core.engine.execute import Outcome
from stages.core.engine.progress import SilentProgress
from stages.core.engine.settings import settings_of
from stages.core.media.frames import read_frame
from stages.core.media.palette import SENTENCES
from stages.tools.render.config import RenderConfig
from stages.tools.render.drawing import DrawingConfig
from stages.tools.render.live_overlay import LiveOverlay
from stages.tools.render.stage import STAGE
from stages.tools.segment.config import SegmentConfig

Run = Callable[..., Outcome]
BARE = RenderConfig(format="png", compare="sentences", only=("a",), bare=True)


def drawn(run_stage: Run, world, out: Path, config: RenderConfig) -> np.ndarray:
    """The first frame of video a with all of its sentences."""
    run_stage(STAGE, config, world.inputs, out, force=True)
    return read_frame(out / "a" / "sentences-0-to-2" / "00000.png")


def test_a_bare_frame_has_the_size_of_the_video(run_stage: Run, world, tmp_path: Path) -> None:
    image = drawn(run_stage, world, tmp_path / "out", BARE)
    assert image.shape == (30, 40, 3)
    assert (image[:8] == 128).all()  # nothing but the frame around the mask
    names = [f"{frame:05d}.png" for frame in range(5)]
    assert sorted(p.name for p in (tmp_path / "out" / "a" / "sentences-0-to-2").iterdir()) == names


def test_an_outline_leaves_what_is_inside(run_stage: Run, world, tmp_path: Path) -> None:
    image = drawn(run_stage, world, tmp_path / "out", replace(BARE, style="outline"))
    assert (image[12:18, 16:22] == 128).all()
    edge = {tuple(pixel) for pixel in image[10, 14:24]}
    assert edge == {SENTENCES[0], SENTENCES[2]}  # of two sentences with one mask
    filled = drawn(run_stage, world, tmp_path / "out", BARE)
    assert (filled[12:18, 16:22] != 128).any(axis=2).all()
    zero = drawn(run_stage, world, tmp_path / "out", replace(BARE, opacity=0.0))
    assert (zero == image).all()


@pytest.mark.parametrize("labels", ["number", "sentence"])
@pytest.mark.parametrize("format", ["png", "sheet"])
def test_labels_are_added_and_nothing_else_changes(
    run_stage: Run, world, tmp_path: Path, labels: str, format: str
) -> None:
    config = replace(BARE, format=format, cells=2, short_side=200)
    images = []
    for chosen in ("none", labels):
        run_stage(STAGE, replace(config, labels=chosen), world.inputs, tmp_path / "o", force=True)
        (path,) = [*(tmp_path / "o").glob("a/*/00000.png"), *(tmp_path / "o").glob("a/*.png")]
        images.append(read_frame(path))
    changed = (images[0] != images[1]).any(axis=2)
    assert 0.002 < changed.mean() < 0.2


def test_an_odd_bare_mp4_is_padded_and_says_so(run_stage: Run, world, tmp_path: Path) -> None:
    for video in ("a", "b"):
        for frame in range(5):
            Image.new("RGB", (39, 29), 90).save(world.frame(video, frame))
            for mask in world.mask(video, "0", frame).parent.parent.glob(f"*/{frame:05d}.png"):
                Image.new("L", (39, 29)).save(mask)
    inputs = replace(world.inputs, frames=world.root / "frames")
    progress = SilentProgress()
    config = RenderConfig(bare=True, only=("b",))
    run_stage(STAGE, config, inputs, tmp_path / "out", progress=progress)
    assert progress.warnings == [
        "b: H.264 needs even sizes: the last row or column of 39x29 is there twice"
    ]
    progress = SilentProgress()
    run_stage(STAGE, replace(config, format="png"), inputs, tmp_path / "png", progress=progress)
    assert not progress.warnings
    assert read_frame(tmp_path / "png" / "b" / "sentences-0" / "00000.png").shape == (29, 39, 3)


@pytest.mark.parametrize(
    ("settings", "option", "message"),
    [
        ({"style": "cutout", "format": "mp4"}, "--format", "mp4 cannot be transparent"),
        ({"style": "cutout", "format": "gif"}, "--format", "gif cannot be transparent"),
        ({"style": "cutout", "format": "sheet"}, "--format", "sheet cannot be transparent"),
        ({"style": "cutout", "compare": "truth"}, "--compare", "predictions alone"),
        ({"style": "cutout", "labels": "number"}, "--labels", "no effect with --style cutout"),
        ({"style": "cutout", "opacity": 0.3}, "--opacity", "no effect with --style cutout"),
        ({"style": "outline", "opacity": 0.3}, "--opacity", "no effect with --style outline"),
        ({"format": "webm"}, "--format", "webm is for --style cutout"),
        ({"format": "mov", "style": "outline"}, "--format", "mov is for --style cutout"),
        ({"format": "gif", "keep_audio": True}, "--keep-audio", "gif has no sound"),
        ({"style": "cutout", "keep_audio": True}, "--keep-audio", "png has no sound"),
    ],
)
def test_settings_that_exclude_each_other(settings: dict, option: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        RenderConfig(**settings)
    assert str(caught.value.where) == option


def test_both_commands_have_the_same_settings_of_drawing() -> None:
    names = {field.name for field in fields(DrawingConfig)}
    assert names >= {"style", "opacity", "labels", "bare", "keep_audio", "gif_megabytes"}
    for kind in (RenderConfig, SegmentConfig):
        described = settings_of(kind)
        assert {name: described[name] for name in names} == settings_of(DrawingConfig)


@pytest.mark.parametrize("style", ["overlay", "outline", "cutout"])
def test_a_stream_is_drawn_in_every_style(style: str) -> None:
    image = np.full((40, 60, 3), 128, np.uint8)
    mask = np.zeros((1, 40, 60), bool)
    mask[0, 10:30, 20:40] = True
    config = DrawingConfig(style=style, bare=True)
    overlay = LiveOverlay(["a dog"], 40, 60, config)
    out = overlay.draw(0, image, mask, [True])
    assert overlay.size == (40, 60)
    if style == "cutout":
        assert (out[..., 3] == mask[0] * 255).all()
        return
    assert (out[20, 20] == SENTENCES[0]).all()
    assert ((out[20, 30] == 128).all()) == (style == "outline")
    labelled = LiveOverlay(["a dog"], 40, 60, replace(config, labels="number", bare=False))
    panel = labelled.draw(0, image, mask, [True]) if style == "overlay" else None
    assert panel is None or panel.shape[:2] == labelled.size

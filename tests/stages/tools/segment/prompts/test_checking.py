"""Prompts against the video, mask images among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from schemas.errors import ConfigError, CorruptInput, MissingInput
from stages.tools.segment.prompts.checking import prompted_objects, renumbered
from stages.tools.segment.prompts.records import Box, MaskImage, Point, Prompt

HEIGHT, WIDTH, FRAMES = 20, 30, 8
RED, GREEN = (255, 0, 0), (0, 255, 0)


def objects(*prompts: Prompt):
    return prompted_objects(prompts, (HEIGHT, WIDTH), FRAMES)


def test_what_touches_the_edges_is_inside() -> None:
    found = objects(Box(0, 0, WIDTH, HEIGHT), Point(WIDTH - 0.5, 0, frame=FRAMES - 1))
    assert [one.frames for one in found] == [(0,), (FRAMES - 1,)]


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Box(0, 0, 5, 5, frame=8), "--box 0,0,5,5@8: the video has no frame 8, its last one is 7"),
        (Point(1, 1, frame=-1), "--point 1,1@-1: the video has no frame -1"),
        (Box(0, 0, 31, 5), "--box 0,0,31,5@0: reaches beyond the video's 30x20 pixels"),
        (Box(-1, 0, 3, 5), "reaches beyond the video's 30x20 pixels"),
        (Box(0, 0, 3, 20.5), "reaches beyond the video's 30x20 pixels"),
        (Box(5, 0, 3, 5), "--box 5,0,3,5@0: has no area"),
        (Point(30, 3), "--point 30,3@0: lies outside the video's 30x20 pixels"),
        (Point(3, -0.5, inside=False), "--not-point 3,-0.5@0: lies outside"),
        (MaskImage(np.ones((20, 31))), "--mask ARRAY@0: the mask is 31x20 pixels, the video 30x20"),
        (MaskImage(np.zeros((20, 30), bool)), "--mask ARRAY@0: the mask is empty"),
        (MaskImage(np.ones((20, 30, 3))), "has 3 dimensions, height and width are needed"),
        (MaskImage(np.random.default_rng(0).random((20, 30))), "has 600 colours, more than 32"),
    ],
)
def test_what_does_not_fit_the_video(prompt: Prompt, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        objects(prompt)
    assert message in str(caught.value)


def test_a_frame_is_not_checked_while_frames_are_not_counted() -> None:
    found = prompted_objects([Point(1, 1, frame=99)], (HEIGHT, WIDTH))
    assert found[0].frames == (99,)


def painted(*colours: object, mode: str = "RGB") -> Image.Image:
    """An image with a stripe of 5 columns per colour, from the left."""
    image = Image.new(mode, (WIDTH, HEIGHT))
    if mode == "P":
        image.putpalette([0, 0, 0, *range(9, 240)])
    for number, colour in enumerate(colours):
        image.paste(colour, (5 * number, 0, 5 * number + 5, HEIGHT))  # type: ignore[arg-type]
    return image


@pytest.mark.parametrize(
    ("image", "stripes"),
    [
        (painted(RED, GREEN), [1, 0]),  # numbered by their colours' values
        (painted(3, 1, mode="P"), [1, 0]),
        (painted(255, mode="L"), [0]),
        (painted(1, mode="1"), [0]),
        (painted((0, 0, 0, 255), (*RED, 255), (*GREEN, 0), mode="RGBA"), [1]),
        (painted(RED, RED, GREEN), [2, 0]),
    ],
    ids=["colours", "palette", "grey", "bits", "transparent", "two stripes"],
)
def test_each_colour_of_a_mask_is_an_object(
    image: Image.Image, stripes: list[int], tmp_path: Path
) -> None:
    image.save(tmp_path / "m.png")
    found = objects(MaskImage(tmp_path / "m.png", frame=2))
    assert len(found) == len(stripes)
    for one, stripe in zip(found, stripes, strict=True):
        mask = one.on(2)[2]
        assert mask is not None
        assert mask.shape == (HEIGHT, WIDTH)
        assert mask[:, 5 * stripe : 5 * stripe + 5].all()
    total = sum(one.on(2)[2].sum() for one in found)  # type: ignore[union-attr]
    assert total == (np.asarray(image.convert("RGBA").convert("RGB")).any(-1)
                     & (np.asarray(image.convert("RGBA"))[..., 3] > 0)).sum()  # fmt: skip


def test_a_file_that_is_no_mask(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    (tmp_path / "text.png").write_text("text")
    whole = (tmp_path / "photo.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    for name, kind, message in (
        ("none.png", MissingInput, "none.png: no such mask image"),
        ("", CorruptInput, "is a folder"),
        ("text.png", CorruptInput, "text.png: is not an image"),
        ("cut.png", CorruptInput, "cut.png: "),
        ("photo.png", ConfigError, "save it as PNG"),
    ):
        with pytest.raises(kind) as caught:
            objects(MaskImage(tmp_path / name))
        assert message in str(caught.value)


def test_objects_in_a_video_of_some_frames() -> None:
    found = objects(
        Box(0, 0, 5, 5, frame=4, name="a"),
        Point(1, 1, frame=6, name="a"),
        MaskImage(np.ones((HEIGHT, WIDTH)), frame=6),
    )
    moved = renumbered(found, [0, 4, 6, 7])
    assert [one.frames for one in moved] == [(1, 2), (2,)]
    assert moved[0].on(1)[0] == Box(0, 0, 5, 5, frame=1, name="a")

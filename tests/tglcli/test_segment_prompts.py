"""tgl segment with prompts by hand: boxes, points and masks of several objects."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import Result
from PIL import Image
from pycocotools import mask as coco
from typer.testing import CliRunner

from schemas.errors import ConfigError, CorruptInput, MissingInput, OutputBlocked
from stages.core.media.ffmpeg import write_h264
from stages.core.media.frames import read_frame
from stages.core.model.backbones.families import build_backbone, load_backbone
from stages.core.model.backbones.preprocess import resize_frames
from stages.core.model.backbones.presets import toy_preset
from stages.core.model.backbones.prompted import track_prompted
from stages.core.model.backbones.records import Prompts
from stages.core.model.masks import enlarge_masks
from stages.tools.segment.between.interpolation import masks_between
from tglcli.main import app

FRAMES, HEIGHT, WIDTH = 6, 48, 80
SQUARE = (slice(10, 30), slice(15, 35))
SIDE = 64


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bright square on a dark ground, over noise."""
    noise = np.random.default_rng(0)
    frames = noise.integers(0, 80, (FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    frames[:, SQUARE[0], SQUARE[1]] = (250, 160, 40)
    path = tmp_path_factory.mktemp("own") / "clip.mp4"
    write_h264(path, list(frames), (HEIGHT, WIDTH), 5, 0)
    return path


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random SAM 2 that finds something everywhere."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    backbone = build_backbone(toy_preset(SIDE))
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
        head = backbone.sam.mask_decoder.pred_obj_score_head
        head.proj_out.weight.mul_(20)
        head.proj_out.bias.add_(4.3)
    folder = tmp_path_factory.mktemp("models") / "tracker"
    backbone.sam.save_pretrained(folder)
    return folder


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A mask of two objects."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[SQUARE] = (255, 0, 0)
    image[40:, 60:] = (0, 0, 255)
    Image.fromarray(image).save(tmp_path / "first.png")
    return tmp_path / "first.png"


def run(clip: Path, tracker: Path, out: Path, *options: object) -> Result:
    fixed = ("--tracker", tracker, "--workers", 1, "--device", "cpu")
    words = ("segment", clip, "-o", out, *fixed, *options)
    return CliRunner().invoke(app, [str(word) for word in words])


def succeed(*arguments: object) -> str:
    done = run(*arguments)  # type: ignore[arg-type]
    assert done.exit_code == 0, repr(done.exception) + done.output
    return done.stdout


def test_prompts_become_objects_in_every_output(
    clip: Path, tracker: Path, tmp_path: Path, drawn: Path
) -> None:
    masks, table = tmp_path / "masks", tmp_path / "t.json"
    output = succeed(
        *(clip, tracker, tmp_path / "o.mp4", "--masks", masks, "--table", table),
        *("--box", "square:15,10,35,30@2", "--not-point", "square:70,40@2"),
        *("--point", "3,4", "--mask", f"{drawn}@5"),
    )
    names = ["square", "object 1", "object 2", "object 3"]
    document = json.loads(table.read_text())
    assert [entry["sentence"] for entry in document["sentences"]] == names
    files = [f"{frame:05d}.png" for frame in range(FRAMES)]
    for number, entry in enumerate(document["sentences"]):
        assert entry["moments"] == []
        assert entry["relevance"] == [None] * FRAMES
        folder = masks / "clip" / str(number)
        assert sorted(path.name for path in folder.iterdir()) == files
        for file, rle in zip(files, entry["masks"], strict=True):
            saved = np.asarray(Image.open(folder / file))
            assert saved.shape == (HEIGHT, WIDTH)
            listed = np.zeros((HEIGHT, WIDTH)) if rle is None else coco.decode(rle)
            assert ((saved > 0) == listed).all()
    for name, entry in zip(names, document["sentences"], strict=True):
        count = sum(rle is not None for rle in entry["masks"])
        assert f'"{name}": mask in {count} of {FRAMES} frames' in output
    assert f"{FRAMES} frames -> " in output
    rows = pq.read_table(masks / "propagation.parquet").to_pylist()
    prompted = {(row["expression_id"], row["frame"]) for row in rows if row["route"] == "prompted"}
    assert prompted == {("0", 2), ("1", 0), ("2", 5), ("3", 5)}
    # What the user drew stays as it is.
    for number, place in (("3", SQUARE), ("2", (slice(40, None), slice(60, None)))):
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[place] = True
        assert ((np.asarray(Image.open(masks / "clip" / number / "00005.png")) > 0) == mask).all()
    assert not list(tmp_path.glob(".*"))


def test_masks_are_those_of_the_tracker_alone(clip: Path, tracker: Path, tmp_path: Path) -> None:
    """Coordinates and pixels are scaled as SAM 2's processor does it; both directions."""
    masks = tmp_path / "masks"
    options = ("--box", "15,10,35,30@2", "--point", "a:20,20@2", "--not-point", "a:60,40@2")
    work = tmp_path / "work"
    succeed(clip, tracker, tmp_path / "o.png", "--masks", masks, "--work", work, *options)
    folder = work / "frames" / "JPEGImages" / "clip"
    frames = np.stack([read_frame(path) for path in sorted(folder.iterdir())])
    backbone = load_backbone(tracker).eval()
    scale = torch.tensor([SIDE / WIDTH, SIDE / HEIGHT])
    prompts = {
        "0": Prompts(boxes=(torch.tensor([[15.0, 10], [35, 30]]) * scale).view(1, 4)),
        "1": Prompts(
            points=torch.tensor([[[20.0, 20], [60, 40]]]) * scale, labels=torch.tensor([[1, 0]])
        ),
    }
    with torch.inference_mode():
        features = backbone.encode_frames(resize_frames(frames, SIDE))
        for number, given in prompts.items():
            found = track_prompted(backbone, features, {2: given}, reverse=True)
            found |= track_prompted(backbone, features, {2: given})
            assert sorted(found) == list(range(FRAMES))
            for frame, result in found.items():
                mask = enlarge_masks(result.gated_logits, HEIGHT, WIDTH)[0].numpy()
                path = masks / "clip" / number / f"{frame:05d}.png"
                assert ((np.asarray(Image.open(path)) > 0) == mask).all(), (number, frame)
            assert any(result.decoded.object_score.item() > 0 for result in found.values())


def test_the_tracker_works_on_a_smaller_image(clip: Path, tracker: Path, tmp_path: Path) -> None:
    masks = {}
    for side in (SIDE, 32):
        options = ("--image-size", side, "--masks", tmp_path / str(side), "--point", "20,20@3")
        succeed(clip, tracker, tmp_path / f"{side}.png", *options)
        masks[side] = (tmp_path / str(side) / "clip" / "0" / "00005.png").read_bytes()
    assert masks[SIDE] != masks[32]
    error = run(clip, tracker, tmp_path / "o.png", "--image-size", 70, "--point", "2,2").exception
    assert isinstance(error, ConfigError)
    assert str(error).startswith("--image-size: ")


def test_an_image_a_rerun_and_other_prompts(clip: Path, tracker: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (WIDTH, HEIGHT), (40, 90, 10)).save(photo)
    said = succeed(photo, tracker, tmp_path / "o.png", "--box", "thing:5,5,20,20")
    assert said.startswith(('"thing": found\n', '"thing": nothing found\n'))
    work, out = tmp_path / "work", tmp_path / "o.png"

    def inodes() -> dict[str, int]:
        return {name: (work / name).stat().st_ino for name in ("frames", "index", "masks")}

    options = ("--work", work, "--point")
    succeed(clip, tracker, out, *options, "20,20")
    first = inodes()
    succeed(clip, tracker, out, *options, "20,20")
    assert inodes() == first
    succeed(clip, tracker, out, *options, "21,20")
    changed = inodes()
    assert changed["masks"] != first["masks"]
    assert changed["frames"] == first["frames"]


def test_every_other_frame_is_tracked_and_the_others_are_filled(
    clip: Path, tracker: Path, tmp_path: Path
) -> None:
    masks, work = tmp_path / "masks", tmp_path / "work"
    options = ("--box", "15,10,35,30@2", "--mask", f"{tmp_path / 'm.png'}@3")
    Image.new("L", (WIDTH, HEIGHT), 1).save(tmp_path / "m.png")
    every = ("--every", 4, "--masks", masks, "--work", work)
    said = succeed(clip, tracker, tmp_path / "o.png", *options, *every)
    assert f"{FRAMES} frames -> " in said
    known = [0, 2, 3, 4, 5]  # every 4th, the prompted ones and the last
    for number in ("0", "1"):
        tracked = sorted((work / "some-masks" / "clip" / number).iterdir())
        assert [path.stem for path in tracked] == [f"{frame:05d}" for frame in known]
        folder = masks / "clip" / number
        for path in tracked:
            assert (folder / path.name).read_bytes() == path.read_bytes()
        ends = [np.asarray(Image.open(folder / f"{frame:05d}.png")) > 0 for frame in (0, 2)]
        between = np.asarray(Image.open(folder / "00001.png")) > 0
        assert (between == next(masks_between(ends[0], ends[1], 2))).all()
    rows = pq.read_table(masks / "propagation.parquet").to_pylist()
    prompted = {(row["expression_id"], row["frame"]) for row in rows if row["route"] == "prompted"}
    assert prompted == {("0", 2), ("1", 3)}
    for row in rows:
        mask = Image.open(masks / "clip" / row["expression_id"] / f"{row['frame']:05d}.png")
        assert row["mask_area"] == (np.asarray(mask) > 0).sum()
    assert len(rows) == 2 * FRAMES


def test_mistakes_are_one_line(
    clip: Path, tracker: Path, tmp_path: Path, drawn: Path, checkpoint: Path
) -> None:
    large = tmp_path / "large.png"
    Image.new("L", (WIDTH, WIDTH), 1).save(large)
    out = tmp_path / "o.mp4"
    for options, kind, message in (
        (("--box", "1,2,3,4@6"), ConfigError, "the video has no frame 6, its last one is 5"),
        (("--box", "1,2,3,99"), ConfigError, "reaches beyond the video's 80x48 pixels"),
        (("--point", "80,2"), ConfigError, "lies outside the video's 80x48 pixels"),
        (("--mask", large), ConfigError, "the mask is 80x80 pixels, the video 80x48"),
        (("--mask", tmp_path / "no.png"), MissingInput, "no such mask image"),
        (("--mask", clip), CorruptInput, "is not an image"),
        (("--not-point", "1,2"), ConfigError, "belongs to no object"),
        (("a dog", "--point", "1,2"), ConfigError, "SENTENCE: 'a dog' has no effect with --box"),
        (("--point", "1,2", "--checkpoint", checkpoint), ConfigError, "--checkpoint: has no eff"),
        (("--point", "1,2", "--no-object-gate"), ConfigError, "--object-gate: needs a trained m"),
        (("--point", "1,2", "--judge", "none"), ConfigError, "--judge: has no effect with --box"),
        (("--point", "1,2", "--online"), ConfigError, "--point 1,2@0: has no effect on a stream"),
        (("--point", "1,2", "--masks", drawn), OutputBlocked, "is a file"),
        ((), ConfigError, "SENTENCE: is missing; describe what to segment, or say where it is"),
    ):
        error = run(clip, tracker, out, *options).exception
        assert isinstance(error, kind), (options, error)
        assert message in str(error)
        assert "\n" not in str(error)
    error = run(clip, tmp_path / "none", out, "--point", "1,2").exception
    assert isinstance(error, MissingInput)
    error = run(clip, tracker, drawn, "--mask", drawn).exception
    assert isinstance(error, OutputBlocked)
    assert "is an input of this command" in str(error)
    assert not out.exists()

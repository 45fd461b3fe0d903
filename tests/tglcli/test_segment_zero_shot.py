"""tgl segment without a checkpoint: a detector, a tracker and a judge, tiny and random."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from PIL import Image
from pycocotools import mask as coco
from tiny_detectors import save_detector
from tiny_selectors import save_answerer, save_selector
from tiny_world import TinyWorld
from typer.testing import CliRunner

from schemas.errors import ConfigError, MissingInput, OutputBlocked
from schemas.receipts import read_receipt
from stages.core.model.loading.catalog import CPU_TRACKER, DEFAULT_DETECTOR, DEFAULT_JUDGE
from stages.tools.segment import segment_video
from stages.tools.segment.zero_shot.way import _detector_side
from tglcli.main import app

ROOT = Path(__file__).resolve().parents[2]
FRAMES, HEIGHT, WIDTH = 4, 32, 48
SENTENCES = ("the left one jumps", "two that run")


@pytest.fixture(scope="module")
def models(tiny_world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of random models by name."""
    root = tmp_path_factory.mktemp("models")
    return {
        "dino": save_detector("grounding-dino", root / "dino"),
        "owlv2": tiny_world.detector,
        "sam2": tiny_world.tracker,
        "clip": save_selector("clip", root / "clip"),
        "llava": save_answerer("llava", root / "llava"),
        "model": tiny_world.model,
    }


def run(source: Path, out: Path, models: dict[str, Path], *options: object) -> Result:
    """Segment with a detector, a tracker and a judge; options of the same names replace these."""
    fixed = {"--model": models["owlv2"], "--tracker": models["sam2"], "--judge": "none"}
    named = [word for name, model in fixed.items() if name not in options for word in (name, model)]
    words = ("segment", source, *SENTENCES, "-o", out, "--device", "cpu", "--workers", 1)
    return CliRunner().invoke(app, [str(word) for word in (*words, *named, *options)])


def succeed(*arguments: object) -> str:
    done = run(*arguments)  # type: ignore[arg-type]
    assert done.exit_code == 0, repr(done.exception) + done.output
    return done.stdout


@pytest.mark.parametrize(
    ("model", "judge"),
    [
        ("owlv2", "llava"),
        ("owlv2", "none"),
        pytest.param("dino", "clip", marks=pytest.mark.slow),  # as in a rerun below
        ("owlv2", "model"),
    ],
)
def test_every_tier_gives_masks_of_every_sentence_and_frame(
    tiny_world: TinyWorld, models: dict[str, Path], tmp_path: Path, model: str, judge: str
) -> None:
    masks, table, out = (tmp_path / name for name in ("masks", "t.json", "o.mp4"))
    output = succeed(
        *(tiny_world.video("a"), out, models, "--masks", masks, "--table", table),
        *("--model", models[model], "--judge", models.get(judge, judge)),
    )
    document = json.loads(table.read_text())
    assert [entry["sentence"] for entry in document["sentences"]] == list(SENTENCES)
    objects = pq.read_table(masks / "objects.parquet").to_pylist()
    for number, entry in enumerate(document["sentences"]):
        own = [row for row in objects if row["expression_id"] == str(number)]
        union = check_masks(masks, str(number), {row["number"] for row in own})
        for mask, rle in zip(union, entry["masks"], strict=True):
            listed = np.zeros((HEIGHT, WIDTH)) if rle is None else coco.decode(rle)
            assert (mask == listed).all()
        check_objects(entry, masks / "ObjectMasks" / "a" / str(number), own)
        line = next(x for x in output.splitlines() if x.startswith(f'"{SENTENCES[number]}": '))
        if not own:
            assert line.endswith(": nothing found")
            assert not union.any()
        else:
            assert f", {len(own)} object" in line
    if judge == "none":
        assert len(objects) == len(SENTENCES)  # the best candidate of each
    receipt = read_receipt(masks)
    assert receipt is not None
    assert receipt.stage == "assemble"
    assert {path.name for path in tmp_path.iterdir()} == {"masks", "t.json", "o.mp4"}


def check_objects(entry: dict[str, Any], images: Path, objects: list[dict[str, Any]]) -> None:
    """The table has each object's own masks and score."""
    found = {one["object"]: one for one in entry["objects"]}
    assert found.keys() == {row["anno_id"] for row in objects}
    for row in objects:
        one = found[row["anno_id"]]
        assert one["confidence"] == row["score"]
        for frame, rle in enumerate(one["masks"]):
            numbers = np.asarray(Image.open(images / f"{frame:05d}.png"))
            listed = np.zeros((HEIGHT, WIDTH)) if rle is None else coco.decode(rle)
            assert ((numbers == row["number"]) == listed).all()


def check_masks(masks: Path, sentence: str, numbers: set[int]) -> np.ndarray:
    """The masks of a sentence, (T, H, W); they are the union of its numbered objects."""
    names = [f"{frame:05d}.png" for frame in range(FRAMES)]
    folder, numbered = masks / "a" / sentence, masks / "ObjectMasks" / "a" / sentence
    assert sorted(path.name for path in folder.iterdir()) == names
    union = np.stack([np.asarray(Image.open(folder / name)) for name in names])
    assert union.shape == (FRAMES, HEIGHT, WIDTH)
    assert set(np.unique(union)) <= {0, 255}
    palette = np.stack([np.asarray(Image.open(numbered / name)) for name in names])
    assert set(np.unique(palette)) - {0} <= numbers
    assert ((palette > 0) == (union > 0)).all()
    return union > 0


def test_a_rerun_skips_and_other_sentences_reuse_the_frames(
    tiny_world: TinyWorld, models: dict[str, Path], tmp_path: Path
) -> None:
    work, video = tmp_path / "work", tiny_world.video("a")
    names = ("frames", "index", "candidates", "tracks", "chosen", "masks", "pictures")

    def inodes() -> dict[str, int]:
        return {name: (work / name).stat().st_ino for name in names}

    succeed(video, tmp_path / "o.png", models, "--work", work)
    first = inodes()
    succeed(video, tmp_path / "o.png", models, "--work", work)
    assert inodes() == first
    succeed(video, tmp_path / "o.png", models, "--work", work, "another")
    changed = {name for name, inode in inodes().items() if inode != first[name]}
    assert changed == set(names) - {"frames"}
    before = inodes()
    succeed(video, tmp_path / "o.png", models, "--work", work, "another", "--judge", models["clip"])
    changed = {name for name, inode in inodes().items() if inode != before[name]}
    assert changed <= {"chosen", "masks", "pictures"}  # the tracks are judged again, not made


def test_every_other_frame_is_tracked(
    tiny_world: TinyWorld, models: dict[str, Path], tmp_path: Path
) -> None:
    masks, work = tmp_path / "masks", tmp_path / "work"
    options = ("--every", 2, "--image-size", 96, "--masks", masks, "--work", work)
    output = succeed(tiny_world.video("a"), tmp_path / "o.png", models, *options)
    assert f"{FRAMES} frames -> " in output
    rows = pq.read_table(masks / "propagation.parquet").to_pylist()
    assert len(rows) == len(SENTENCES) * FRAMES
    tracked = sorted(path.stem for path in (work / "some-masks" / "a" / "0").iterdir())
    assert tracked == ["00000", "00002", "00003"]
    for row in rows:
        path = masks / "a" / row["expression_id"] / f"{row['frame']:05d}.png"
        assert (np.asarray(Image.open(path)) > 0).sum() == row["mask_area"]
        if path.stem in tracked:
            made = work / "some-masks" / "a" / row["expression_id"] / path.name
            assert path.read_bytes() == made.read_bytes()
    objects = pq.read_table(masks / "objects.parquet").to_pylist()
    for number, sentence in enumerate(SENTENCES):
        own = [row for row in objects if row["expression_id"] == str(number)]
        check_masks(masks, str(number), {row["number"] for row in own})
        assert f'"{sentence}": ' in output
        for row in own:
            folder = masks / "ObjectMasks" / "a" / str(number)
            numbers = [np.asarray(Image.open(path)) for path in sorted(folder.iterdir())]
            assert row["visible_frames"] == sum((row["number"] == n).any() for n in numbers) > 0
    done = run(tiny_world.video("a"), tmp_path / "o.png", models, "--masks", masks)
    assert isinstance(done.exception, OutputBlocked)  # before anything is done
    assert "was made by tgl segment, not by tgl assemble" in str(done.exception)


@pytest.mark.parametrize(
    ("model", "side", "detector"), [("dino", 64, 64), ("dino", 832, 0), ("owlv2", 64, 0)]
)
def test_the_detector_works_on_a_smaller_image_where_it_can(
    models: dict[str, Path], model: str, side: int, detector: int
) -> None:
    assert _detector_side(models[model], side) == detector


def test_a_video_in_which_nothing_is_found_gets_black_masks(
    tiny_world: TinyWorld, models: dict[str, Path], tmp_path: Path
) -> None:
    """With this tracker, every track is invisible: there is nothing to judge."""
    masks = tmp_path / "masks"
    options = ("--tracker", tiny_world.backbone, "--judge", models["clip"], "--masks", masks)
    done = run(tiny_world.video("a"), tmp_path / "o.mp4", models, *options)
    assert done.exit_code == 0, repr(done.exception)
    for number, sentence in enumerate(SENTENCES):
        assert f'"{sentence}": nothing found' in done.stdout
        assert not check_masks(masks, str(number), set()).any()
    rows = pq.read_table(masks / "propagation.parquet").to_pylist()
    assert {row["route"] for row in rows} == {"empty"}
    assert "no tracks" in done.stderr


def test_objects_of_segment_video_are_those_of_the_command(
    tiny_world: TinyWorld, models: dict[str, Path], tmp_path: Path
) -> None:
    masks = tmp_path / "masks"
    succeed(tiny_world.video("a"), tmp_path / "o.png", models, "--masks", masks)
    for every in (1, 2):
        found = segment_video(
            tiny_world.video("a"),
            SENTENCES,
            model=models["owlv2"],
            tracker=models["sam2"],
            judge="none",
            every=every,
            device="cpu",
            workers=1,
        )
        for number, one in enumerate(found.sentences):
            (only,) = one.objects
            assert only.masks.shape == one.masks.shape == (FRAMES, HEIGHT, WIDTH)
            assert only.moments == one.moments
            assert (only.masks == one.masks).all()
            if every == 1:
                union = check_masks(masks, str(number), {1})
                assert (union == one.masks).all()


def test_mistakes_come_before_any_work(
    tiny_world: TinyWorld, models: dict[str, Path], tmp_path: Path
) -> None:
    for options, kind, message in (
        (("--moments", "all"), ConfigError, "--moments: needs a trained model, named with --che"),
        (("--no-object-gate",), ConfigError, "--object-gate: needs a trained model"),
        (("--encoder", "hash"), ConfigError, "--encoder: needs a trained model"),
        (("--online",), ConfigError, "--online: needs a trained model, named with --checkpoint"),
        (("--judge", tmp_path / "none"), MissingInput, "none: no such folder"),
        (("--tracker", tiny_world.index), MissingInput, "index: has no config.json"),
    ):
        error = run(tiny_world.video("a"), tmp_path / "o.mp4", models, *options).exception
        assert isinstance(error, kind), (options, error)
        assert message in str(error)
    assert not list(tmp_path.iterdir())


def test_without_network_and_weights_one_line_names_the_models() -> None:
    """Before the video is touched, and before torch is loaded."""
    code = (
        "import sys, time; from tglcli.main import main\n"
        "start = time.monotonic()\n"
        f"sys.argv = ['tgl', 'segment', {str(ROOT / 'README.md')!r}, 'a dog', '-o', 'never.mp4',"
        " '--device', 'cpu']\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules,"
        " time.monotonic() - start)"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(ROOT / "nowhere")},
        check=True,
    )
    exit_code, torch, seconds = done.stdout.split()
    assert (exit_code, torch) == ("3", "False")
    assert float(seconds) < time.monotonic() - started
    assert float(seconds) < 1 or os.getloadavg()[0] > (os.cpu_count() or 1)
    assert done.stderr.count("\n") == 1
    for name in (DEFAULT_DETECTOR, CPU_TRACKER, DEFAULT_JUDGE):
        assert name in done.stderr
    assert "--model, --tracker and --judge" in done.stderr

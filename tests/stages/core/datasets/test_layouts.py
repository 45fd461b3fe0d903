"""Every layout, from miniatures that are written byte by byte with the traps of the real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from layout_minis import numbered, write_image, write_palette
from PIL import Image

from schemas.errors import ConfigError, CorruptInput, MissingInput, TglError
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE
from stages.core.datasets.layouts import LAYOUT_NAMES
from stages.core.datasets.layouts.registry import detect_layout, layout_reader, open_dataset
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Index
from stages.tools.check.check import check
from stages.tools.check.config import CheckConfig


def _build(run_stage: Callable, folder: Path, **config: object) -> tuple[Index, dict]:
    out = folder.parent / "index"
    outcome = run_stage(STAGE, IndexConfig(**config), IndexInputs(folder), out)
    return Index.open(out), dict(outcome.counts)


def test_ref_youtube_vos_train(run_stage: Callable, youtube: Path) -> None:
    index, counts = _build(run_stage, youtube / "train")
    first, second = index.expressions_of("003234408d")
    assert (first.object_ids, first.anno_ids) == (("1",), ("003234408d_1",))
    assert np.array_equal(index.masks.mask("003234408d_1", 2), numbered(1) == 1)
    assert sorted(index.masks.frames_of(second.anno_ids[0])) == [0]
    assert index.videos["003234408d"].frame_names == ("00000", "00005", "00010")
    assert counts["unreferenced tracks"] == 2
    assert index.videos["003234408d"].frame_path(1).is_file()


def test_ref_youtube_vos_valid_leaves_out_test(run_stage: Callable, youtube: Path) -> None:
    index, counts = _build(run_stage, youtube, split="valid")
    assert set(index.videos) == {"0062f687f1"}
    assert counts["videos left to the test split"] == 1
    assert counts["without target"] == 1


def test_a_root_of_several_splits_asks_for_one(run_stage: Callable, youtube: Path) -> None:
    with pytest.raises(MissingInput, match="--split train or valid"):
        _build(run_stage, youtube)


def test_sentences_beside_the_split_are_part_of_the_input(
    run_stage: Callable, youtube: Path
) -> None:
    index, _ = _build(run_stage, youtube / "train")
    path = youtube / "meta_expressions/train/meta_expressions.json"
    path.write_text(path.read_text().replace("a penguin walks", "a penguin runs fast"))
    index, _ = _build(run_stage, youtube / "train")
    assert index.expressions_of("003234408d")[1].text == "a penguin runs fast"


def test_ref_davis_as_downloaded(run_stage: Callable, davis: Path) -> None:
    index, counts = _build(run_stage, davis, split="val")
    assert list(index.videos) == ["classic-car", "dogs-scale"]
    assert counts["misspelt names corrected"] == 8 + 2
    sentences = {e.expression_id: e.text for e in index.expressions_of("classic-car")}
    assert sentences == {
        "0": "a car", "1": "the car", "2": "a car", "3": "a car",
        "4": "a man", "5": "the man", "6": "an homme âgé", "7": "an homme âgé",
    }  # fmt: skip
    assert [e.text for e in index.expressions_of("dogs-scale")] == ["a dog", "the dog"] + [
        "a dog"
    ] * 2
    mask = index.masks.mask("classic-car_2", 1)
    assert np.array_equal(mask, numbered(2) == 2)
    assert index.masks.frames_of("classic-car_255") == {}


def test_ref_davis_needs_a_split(run_stage: Callable, davis: Path) -> None:
    with pytest.raises(ConfigError, match="train, val"):
        _build(run_stage, davis)
    with pytest.raises(MissingInput, match="no such split"):
        _build(run_stage, davis, split="challenge")


def test_converted_ref_davis_is_ref_youtube_vos(run_stage: Callable, youtube: Path) -> None:
    converted = youtube / "train"
    for path in converted.glob("Annotations/*/*.png"):
        numbers = np.asarray(Image.open(path)).copy()
        numbers[9, 9] = 255
        write_palette(path, numbers)
    index, _ = _build(run_stage, converted)
    assert index.masks.frames_of("003234408d_255") == {}


def test_a_plain_folder(run_stage: Callable, plain: Path) -> None:
    index, counts = _build(run_stage, plain)
    texts = [e.text for e in index.expressions_of("kitchen")]
    assert texts == ["the cup, red", "two cups", "no cup"]
    assert index.expressions_of("kitchen")[1].anno_ids == ("kitchen_1", "kitchen_3")
    assert sorted(index.masks.frames_of("kitchen_3")) == [0, 2]
    assert counts["frames without annotation"] == 1
    assert index.videos["yard"].frame_path(0).is_file()


def test_frames_of_a_plain_folder_go_by_their_numbers(run_stage: Callable, plain: Path) -> None:
    _, counts = _build(run_stage, plain)
    assert counts["videos ordered by frame number"] == 0
    write_image(plain / "JPEGImages/kitchen/img10.jpg")
    index, counts = _build(run_stage, plain)
    assert index.videos["kitchen"].frame_names == ("img0", "img1", "img2", "img10")
    assert counts["videos ordered by frame number"] == 1


def test_order_and_gaps_of_a_plain_folder_are_told_once(run_stage: Callable, plain: Path) -> None:
    for number in (3, 9, 10):
        write_image(plain / f"JPEGImages/kitchen/img{number}.jpg")
    progress = SilentProgress()
    where = plain.parent / "index"
    outcome = run_stage(STAGE, IndexConfig(), IndexInputs(plain), where, progress=progress)
    assert outcome.counts["gaps in frame numbers"] == 1
    told = [
        "frames are ordered by number, not as text, of 1 video (kitchen)",
        "1 gap in the frame numbers of 1 video, first from img3 to img9 of kitchen; such frames "
        "follow each other",
    ]
    assert progress.warnings == told
    report = check(plain, CheckConfig(), runtime=Runtime(workers=1), progress=SilentProgress())
    assert list(report.notes) == told


def test_a_plain_folder_of_extracted_frames(
    run_stage: Callable, frames_artifact: Callable, tmp_path: Path
) -> None:
    frames = frames_artifact({"yard": 3}, fps=5)
    (tmp_path / "own").mkdir()
    text = "video_id,expression,object_ids\nyard,the gate opens,\n"
    (tmp_path / "own" / "expressions.csv").write_text(text)
    inputs = IndexInputs(tmp_path / "own", frames)
    run_stage(STAGE, IndexConfig(), inputs, tmp_path / "index")
    video = Index.open(tmp_path / "index").videos["yard"]
    assert video.fps == 5.0
    assert video.frame_path(2).is_file()


@pytest.mark.parametrize("name", LAYOUT_NAMES)
def test_a_reader_has_the_name_of_its_layout(name: str) -> None:
    assert layout_reader(name).layout == name


def test_layouts_are_told_apart(youtube: Path, davis: Path, plain: Path, mevis) -> None:
    assert detect_layout(youtube / "train") == "ref-youtube-vos"
    assert detect_layout(davis) == "ref-davis17"
    assert detect_layout(davis / "DAVIS") == "ref-davis17"
    assert detect_layout(plain) == "folder"
    assert detect_layout(mevis.write()) == "mevis"
    assert detect_layout(plain.parent) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"video_id,object_ids\nkitchen,1\n", "lacks the column expression"),
        (b"video_id,expression,object_ids\nkitchen,,1\n", "line 2: has no sentence"),
        (b"video_id,expression,object_ids\n../x,a cup,1\n", "'../x'"),
        (b"video_id,expression,object_ids\nkitchen,a cup,one\n", "'one' are not object numbers"),
        (b"video_id,expression,object_ids\nkitchen,a cup,77\n", "kitchen_77"),
        (b"video_id,expression,object_ids\ncellar,a cup,1\n", "video cellar has no folder"),
        (b"video_id,expression,object_ids\nkitchen,,1\n", "has no sentence"),
        (b"video_id,expression,object_ids\nkitchen\n", "line 2: has too few fields"),
        (b"video_id,expression,object_ids\nkitchen,a cup, red,1\n", "has too many fields"),
        (b"video_id,expression,object_ids\nkitchen,a cup,1", "its last line has no line break"),
        (b"video_id,expression,object_ids\nkitchen,a cu", "its last line has no line break"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_damaged_sentences(run_stage: Callable, plain: Path, text: bytes, words: str) -> None:
    (plain / "expressions.csv").write_bytes(text)
    with pytest.raises(TglError) as caught:
        _build(run_stage, plain)
    assert words in str(caught.value)


def test_damaged_palettes(run_stage: Callable, plain: Path) -> None:
    path = plain / "Annotations/kitchen/img0.png"
    write_image(path)
    with pytest.raises(CorruptInput, match=r"img0\.png: has RGB colours"):
        _build(run_stage, plain)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(CorruptInput, match=r"img0\.png"):
        _build(run_stage, plain)
    write_palette(path, np.ones((4, 4), np.uint8))
    with pytest.raises(CorruptInput, match="is 4x4, its video 14x10"):
        _build(run_stage, plain)


def test_faults_may_be_collected(plain: Path) -> None:
    rows = "kitchen,a cup,1\n../x,a cup,1\nkitchen,,1\n"
    (plain / "expressions.csv").write_text("video_id,expression,object_ids\n" + rows)
    found: list[TglError] = []
    dataset = open_dataset(plain, faults=found.append)
    assert len(dataset.expressions()) == 1
    assert len(found) == 2

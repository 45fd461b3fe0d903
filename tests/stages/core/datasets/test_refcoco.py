"""RefCOCO as downloaded and in JSON: equal indexes, damage in one line."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from layout_minis import write_image
from pycocotools import mask as coco
from refcoco_mini import HEIGHT, WIDTH, RefcocoMini, image_name
from spoiling import FEW, QUICK, error_or_success, spoilt_bytes, spoilt_json

from schemas.errors import ConfigError, CorruptInput, MissingInput, TglError
from schemas.layouts import INDEX_TABLES
from schemas.parquet import content_digest
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE
from stages.core.datasets.layouts.registry import detect_layout, open_dataset
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Index
from stages.tools.check.check import check
from stages.tools.check.config import CheckConfig

RUNTIME = Runtime(workers=1, device="cpu")


def _build(folder: Path, out: Path, *, frames: Path | None = None, **config: Any) -> dict:
    inputs = IndexInputs(folder, frames)
    outcome = execute(
        STAGE, IndexConfig(**config), inputs, out, runtime=RUNTIME, progress=SilentProgress()
    )
    return dict(outcome.counts)


def _refused(folder: Path, tmp_path: Path, **config: Any) -> str:
    with pytest.raises(TglError) as caught:
        _build(folder, tmp_path / "index", **{"split": "train", **config})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_download_becomes_videos_of_one_frame(refcoco: RefcocoMini, tmp_path: Path) -> None:
    counts = _build(refcoco.write(), tmp_path / "index", split="train")
    assert counts == {
        "videos": 2,
        "expressions": 4,
        "without target": 0,
        "moments": 4,
        "never true": 0,
        "without moment": 0,
        "tracks": 3,
        "masks": 3,
        "unreferenced tracks": 0,
        "blank sentences left out": 1,
    }
    index = Index.open(tmp_path / "index")
    assert list(index.videos) == [image_name(9), image_name(4)]
    sentences = {e.expression_id: (e.text, e.anno_ids) for e in index.expressions_of(image_name(9))}
    assert sentences == {
        "0": ("the left man", ("170",)),
        "1": ("man in blue", ("170",)),
        "2": ("the other one", ("171",)),
    }
    assert index.moments(image_name(4), "0") == {"180": [(0, 1)]}
    video = index.videos[image_name(9)]
    assert (video.num_frames, video.height, video.width) == (1, HEIGHT, WIDTH)
    assert (
        video.frame_path(0).resolve()
        == (refcoco.root / "train2014" / f"{image_name(9)}.jpg").resolve()
    )
    square = np.zeros((HEIGHT, WIDTH), np.uint8)
    square[1:5, 2:6] = 1
    assert np.array_equal(index.masks.mask("170", 0), square)
    both = np.zeros((HEIGHT, WIDTH), np.uint8)
    both[:3, :3] = both[7:9, 7:9] = 1
    assert np.array_equal(index.masks.mask("180", 0), both)
    corner = np.zeros((HEIGHT, WIDTH), np.uint8)
    corner[:3, 0] = 1
    assert np.array_equal(index.masks.mask("171", 0), corner)


@pytest.mark.parametrize("split", ["train", "val", "testA"])
def test_both_forms_give_equal_indexes(split: str, refcoco: RefcocoMini, tmp_path: Path) -> None:
    refcoco.write()
    images = refcoco.root / "train2014"
    _build(refcoco.root, tmp_path / "original", split=split)
    forms = {"converted": {}, "mdetr": {"mdetr": True}}
    for name, options in forms.items():
        mini = RefcocoMini(tmp_path / f"{name}_files")
        mini.write_json(split, **options)
        if name == "mdetr":
            (mini.root / "instances_train2014.json").write_text(json.dumps(mini.instances()))
        _build(mini.root, tmp_path / name, frames=images)
        for table in INDEX_TABLES:
            digests = [content_digest(tmp_path / n / table) for n in ("original", name)]
            assert digests[0] == digests[1], table
    assert len(Index.open(tmp_path / "original").expressions) == {"train": 4}.get(split, 1)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_of_any_protocol(protocol: int, refcoco: RefcocoMini, tmp_path: Path) -> None:
    _build(refcoco.write(protocol=protocol), tmp_path / "index", split="testA")
    assert Index.open(tmp_path / "index").expressions[0].text == "a person's café"


def test_splits_of_the_download_are_chosen(refcoco: RefcocoMini, tmp_path: Path) -> None:
    root = refcoco.write()
    everything = "choose one with --split: testA, train, val"
    assert _refused(root, tmp_path, split=None).endswith(everything)
    assert _refused(root, tmp_path, split="testB").endswith(f"has no split testB; {everything}")
    assert _build(root, tmp_path / "a", split="val")["expressions"] == 1
    assert _build(root, tmp_path / "b", split="unc_val")["expressions"] == 1
    refcoco.refs = [(170, "train", ["by google"])]
    refcoco.write(by="google")
    message = _refused(root, tmp_path, split="val")
    assert "refs(google).p, refs(unc).p" in message
    assert "--split google_val or unc_val" in message
    _build(root, tmp_path / "c", split="google_train")
    assert Index.open(tmp_path / "c").expressions[0].text == "by google"


def test_splits_in_json_are_chosen(refcoco: RefcocoMini, tmp_path: Path) -> None:
    root = refcoco.write_json("train")
    assert _build(root, tmp_path / "a")["expressions"] == 4
    refcoco.write_json("val", "testA")
    message = _refused(root, tmp_path, split=None)
    assert message.endswith("has several splits; choose one with --split: testA, train, val")
    refcoco.write_json("train", name="refcoco+")
    message = _refused(root, tmp_path)
    assert message.endswith("choose one with --split: refcoco+_train, refcoco_train")
    assert _build(root, tmp_path / "b", split="refcoco+_train")["expressions"] == 4
    assert _build(root, tmp_path / "c", split="val")["expressions"] == 1
    refcoco.write_json("train", mdetr=True)
    names = "finetune_refcoco_train, refcoco+_train, instances_refcoco_train"
    assert _refused(root, tmp_path).endswith(names)
    assert "has no split testB" in _refused(root, tmp_path, split="testB")


def test_a_folder_of_data_sets_is_not_one(refcoco: RefcocoMini, tmp_path: Path) -> None:
    root = refcoco.write()
    with pytest.raises(MissingInput, match="refcoco"):
        _build(root.parent, tmp_path / "index")
    with pytest.raises(ConfigError, match=f"refcoco is a folder, .* name {root} as the data set"):
        _build(root.parent, tmp_path / "index", split="refcoco")


def test_layouts_are_detected(refcoco: RefcocoMini, tmp_path: Path) -> None:
    assert detect_layout(RefcocoMini(tmp_path / "json").write_json("train")) == "refcoco-json"
    assert detect_layout(refcoco.write()) == "refcoco"
    refcoco.write_json("train")
    assert detect_layout(refcoco.root) == "refcoco"
    _build(refcoco.root, tmp_path / "index", layout="refcoco-json")
    for layout, words in (("refcoco", "has no refs"), ("refcoco-json", "has no finetune_refcoco")):
        assert words in _refused(tmp_path / "json" / "train2014", tmp_path, layout=layout)


def test_a_sentence_of_several_or_no_referents(refcoco: RefcocoMini, tmp_path: Path) -> None:
    root = refcoco.write_json("train")
    path = root / "instances_refcoco_train.json"
    document = json.loads(path.read_text())
    first, second, third, *_ = document["annotations"]
    document["annotations"] = [first, {**third, "image_id": second["image_id"], "original_id": 171,
                                       "segmentation": [[0, 0, 3, 0, 3, 3]]}]  # fmt: skip
    document["annotations"].append(second)
    path.write_text(json.dumps(document))
    counts = _build(root, tmp_path / "index")
    assert counts["without target"] == 2
    assert Index.open(tmp_path / "index").expressions[1].anno_ids == ("171", "170")


def test_images_are_inputs(refcoco: RefcocoMini, tmp_path: Path, run_stage: Callable) -> None:
    root = refcoco.write()
    images = tmp_path / "coco" / "train2014"
    images.parent.mkdir()
    (root / "train2014").rename(images)
    message = _refused(root, tmp_path)
    assert f"{root / 'train2014'}: no such folder of images; name the folder" in message
    inputs, config = IndexInputs(root, images), IndexConfig(split="train")
    assert not run_stage(STAGE, config, inputs, tmp_path / "index").skipped
    assert run_stage(STAGE, config, inputs, tmp_path / "index").skipped
    write_image(images / f"{image_name(4)}.jpg", (WIDTH, HEIGHT + 1))
    with pytest.raises(CorruptInput, match=f"180 is {WIDTH}x{HEIGHT}, its video {WIDTH}x11"):
        run_stage(STAGE, config, inputs, tmp_path / "index")
    (images / f"{image_name(4)}.jpg").unlink()
    with pytest.raises(MissingInput) as caught:
        run_stage(STAGE, config, inputs, tmp_path / "index")
    assert f"{images}: 1 of 2 images are missing, first {image_name(4)}.jpg" in str(caught.value)


def test_a_moments_file_goes_first(refcoco: RefcocoMini, tmp_path: Path) -> None:
    root = refcoco.write()
    video = {"fps": None, "expressions": {"0": {"moments": {"ALL": [[0, 1]]}}}}
    document = {"format": "tgl-moments", "version": 1, "frame_unit": "index"}
    (root / "moments.json").write_text(json.dumps({**document, "videos": {image_name(4): video}}))
    assert _build(root, tmp_path / "a", split="train")["moments"] == 1
    counts = _build(root, tmp_path / "b", split="train", moments_from="visibility")
    assert counts["moments"] == 4


def test_damage_of_the_download(refcoco: RefcocoMini, tmp_path: Path) -> None:
    root = refcoco.write()
    path, refs = root / "instances.json", root / "refs(unc).p"
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b'"images"') + 30])
    assert f"{path}: is incomplete or not JSON at character" in _refused(root, tmp_path)
    path.unlink()
    message = _refused(root, tmp_path)
    assert f"{path}: no such file of objects; it is part of the data set's own" in message
    path.write_text('{"images": [], "annotations": []}')
    assert f"{refs}, ref 0: {path} has no image 9" in _refused(root, tmp_path)
    path.write_text(json.dumps({**refcoco.instances(), "annotations": []}))
    assert "has none of the annotations that the sentences refer to" in _refused(root, tmp_path)
    document = refcoco.instances()
    document["annotations"] = [a for a in document["annotations"] if a["id"] != 171]
    path.write_text(json.dumps(document))
    message = f"{path}: no masks for 1 track of the expressions, first 171; the files"
    assert message in _refused(root, tmp_path)
    document["annotations"].append({"id": 171, "image_id": 5, "segmentation": []})
    path.write_text(json.dumps(document))
    message = f"{path}, annotation 171: belongs to image 5, its sentences to image 9"
    assert message in _refused(root, tmp_path)
    path.write_bytes(whole)
    refs.write_bytes(refs.read_bytes()[:-200])
    assert f"{refs}: is cut off" in _refused(root, tmp_path)


def test_a_ref_of_an_annotation_that_does_not_exist(refcoco: RefcocoMini, tmp_path: Path) -> None:
    refcoco.refs[0] = (12345, "train", ["nobody"])
    message = "no masks for 1 track of the expressions, first 12345"
    assert message in _refused(refcoco.write(), tmp_path)


@pytest.mark.parametrize(
    ("refs", "words"),
    [
        ({}, "has no list of refs"),
        ([], "has no list of refs"),
        ([7], "ref 0: a JSON object is needed, found int"),
        ([{}], "ref 0: has no list of sentences"),
        ([{"sentences": [], "split": "val"}], "has no split train; choose one with --split: val"),
        ([{"sentences": [], "split": "train"}], "ref 0: has no image_id"),
        ([{"sentences": [], "split": "train", "image_id": 9}], "ref 0: has no ann_id"),
        ([{"sentences": [], "split": "train", "image_id": 10**5000, "ann_id": 1}], "image_id that"),
        ([{"sentences": [], "split": "train", "image_id": 9, "ann_id": "7"}], "ann_id that is no"),
        ([{"sentences": [5], "split": "train", "image_id": 9, "ann_id": 7}], "sentences: a JSON"),
        ([{"sentences": [{}], "split": "train", "image_id": 9, "ann_id": 7}], "has no sentence"),
        ([{"sentences": [{"sent": "\ud800"}], "split": "train", "image_id": 9, "ann_id": 7}],
         "half of a surrogate pair"),
        ([{"sentences": [{"sent": "a"}], "split": "train", "image_id": 9, "ann_id": 170},
          {"sentences": [{"sent": "a"}], "split": "train", "image_id": 4, "ann_id": 170}],
         "anno id 170 belongs to the videos"),
        ([{"sentences": s, "split": "train"} for s in [[{"sent": "a"}] * 999] * 999],
         "cannot hold its 998,001 sentences"),
    ],
)  # fmt: skip
def test_refs_that_are_none(refs: object, words: str, refcoco: RefcocoMini, tmp_path: Path) -> None:
    refcoco.write()
    (refcoco.root / "refs(unc).p").write_bytes(pickle.dumps(refs, 2))
    assert words in _refused(refcoco.root, tmp_path)


@pytest.mark.parametrize(
    ("place", "change", "words"),
    [
        ("images", {"file_name": None}, "image 1000: has no file_name of an image"),
        ("images", {"file_name": "x.txt"}, "image 1000: has no file_name of an image"),
        ("images", {"file_name": "../x.jpg"}, "'../x'"),
        ("images", {"height": 0}, "image 1000: has no height and width in pixels"),
        ("images", {"width": 2**40}, "image 1000: has no height and width in pixels"),
        ("images", {"caption": None}, "image 1000: has no sentence"),
        ("images", {"id": 1001}, "lists image 1001 twice"),
        ("images", {"id": 7}, "has annotations of 1 image that it does not list, first 1000"),
        ("images", {"id": None}, "images: has no id"),
        ("annotations", {"id": -1}, "annotations: has a id"),
        ("annotations", {"original_id": True}, "annotation 5000: has a original_id"),
        ("annotations", {"image_id": 1001}, "image 1001: refers to an annotation twice"),
        ("annotations", {"segmentation": "x"}, "annotation 170: the segmentation is neither"),
        ("annotations", {"segmentation": [[1, 2, 3]]}, "annotation 170: an outline is not a list"),
    ],
)
def test_damage_in_json(
    place: str, change: dict, words: str, refcoco: RefcocoMini, tmp_path: Path
) -> None:
    path = refcoco.write_json("train") / "instances_refcoco_train.json"
    document = json.loads(path.read_text())
    document[place][0].update(change)
    path.write_text(json.dumps(document))
    message = _refused(refcoco.root, tmp_path)
    assert message.startswith((f"{path}", "--split"))
    assert words in message


def test_json_that_is_cut_off(refcoco: RefcocoMini, tmp_path: Path) -> None:
    path = refcoco.write_json("train") / "instances_refcoco_train.json"
    path.write_bytes(path.read_bytes()[:-300])
    assert f"{path}: is incomplete or not JSON at character" in _refused(refcoco.root, tmp_path)


def test_json_without_segmentation_needs_the_instances(
    refcoco: RefcocoMini, tmp_path: Path
) -> None:
    root = refcoco.write_json("train", mdetr=True)
    message = _refused(root, tmp_path)
    assert f"{root / 'instances.json'}: no such file of objects; the sentences' file" in message
    (root / "annotations").mkdir()
    path = root / "annotations" / "instances_train2014.json"
    path.write_text(json.dumps(refcoco.instances()))
    assert _build(root, tmp_path / "index")["masks"] == 3
    refcoco.objects[170] = (4, refcoco.objects[170][1])
    path.write_text(json.dumps(refcoco.instances()))
    message = f"{path}, annotation 170: belongs to image 4, its sentences to image 9"
    assert message in _refused(root, tmp_path)


@pytest.mark.parametrize("form", ["original", "json"])
def test_check_lists_every_fault(form: str, refcoco: RefcocoMini) -> None:
    refcoco.without = (4, 9)
    refcoco.objects[171] = (9, [[1, 2, 3]])
    refcoco.refs.append((170, "train", ["@"]))
    if form == "original":
        refcoco.write()
        refs = refcoco.ref_list()
        refs[-1]["sentences"][0]["sent"] = ["no", "text"]
        (refcoco.root / "refs(unc).p").write_bytes(pickle.dumps(refs, 2))
    else:
        path = refcoco.write_json("train") / "instances_refcoco_train.json"
        path.write_text(path.read_text().replace('"caption": "@"', '"caption": ["no", "text"]'))
    config = CheckConfig(split="train")
    report = check(refcoco.root, config, runtime=RUNTIME, progress=SilentProgress())
    faults = [fault["message"] for fault in report.to_dict()["faults"]]
    assert faults == [
        "has no sentence",
        f"2 of 2 images are missing, first {image_name(9)}.jpg",
        "an outline is not a list of x and y",
        "no masks for 1 track of the expressions, first 171",
    ]


@FEW
@given(mask=hnp.arrays(np.uint8, (HEIGHT, WIDTH), elements=st.integers(0, 1)), data=st.data())
def test_any_mask_comes_back(
    mask: np.ndarray, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    packed = coco.encode(np.asfortranarray(mask))["counts"].decode()
    tmp_path = tmp_path_factory.mktemp("masks")
    mini = RefcocoMini(tmp_path / "data")
    mini.objects[170] = (9, {"size": [HEIGHT, WIDTH], "counts": packed})
    as_json = data.draw(st.booleans())
    root = mini.write_json("train") if as_json else mini.write()
    _build(root, tmp_path / "index", split="train")
    found = Index.open(tmp_path / "index").masks.mask("170", 0)
    assert np.array_equal(np.zeros_like(mask) if found is None else found, mask)


@pytest.mark.parametrize("name", ["instances.json", "refs(unc).p", "instances_refcoco_train.json"])
@QUICK
@given(data=st.data())
def test_files_spoilt_at_random(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    mini = RefcocoMini(tmp_path_factory.mktemp("spoilt") / "data")
    mini.write()
    mini.write_json("train")
    path = mini.root / name
    if path.suffix == ".p":
        path.write_bytes(data.draw(spoilt_bytes(path.read_bytes())))
    else:
        path.write_text(data.draw(spoilt_json(json.loads(path.read_text()))))
    layout = "refcoco-json" if name.startswith("instances_") else "refcoco"
    with error_or_success():
        dataset = open_dataset(mini.root, layout=layout, split="train")
        dataset.expressions()
        list(dataset.tracks(RUNTIME))
    found: list[TglError] = []
    with error_or_success():
        dataset = open_dataset(mini.root, layout=layout, split="train", faults=found.append)
        list(dataset.tracks(RUNTIME))

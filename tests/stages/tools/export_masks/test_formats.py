"""Masks in every format, read back by the format's own readers where a library has one."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pycocotools import mask as coco
from pycocotools.coco import COCO
from scipy.ndimage import binary_fill_holes, label
from skimage.measure import grid_points_in_poly

from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD_MOMENTS
from stages.core.index.index import Index
from stages.tools.export_masks.config import ExportConfig, ExportInputs
from stages.tools.export_masks.formats.yolo import mask_polygon
from stages.tools.export_masks.stage import STAGE

Run = Callable[..., Any]
Masks = dict[tuple[str, str, int], np.ndarray]
"""Masks by video, object and frame; without empty ones."""


def referents(index: Index) -> Masks:
    """What an export per referent must hold."""
    found = {}
    for expression in index.expressions:
        for anno_id in expression.anno_ids:
            for frame in index.masks.frames_of(anno_id):
                mask = index.masks.mask(anno_id, frame)
                assert mask is not None
                if mask.any():
                    found[expression.video_id, anno_id, frame] = mask.astype(bool)
    assert len(found) > 100
    return found


def same(found: Masks, expected: Masks) -> None:
    assert found.keys() == expected.keys()
    for key, mask in expected.items():
        assert np.array_equal(found[key], mask), key


def test_coco_is_read_by_pycocotools(run_stage: Run, root: Path, index: Index, tmp_path) -> None:
    outcome = run_stage(STAGE, ExportConfig(), ExportInputs(root / "index"), tmp_path / "out")
    data = COCO(tmp_path / "out" / "annotations.json")
    found: Masks = {}
    tracks: dict[int, set[tuple[str, str]]] = {}
    for number, annotation in data.anns.items():
        image = data.imgs[annotation["image_id"]]
        frame = int(Path(image["file_name"]).stem)
        assert image["file_name"] == f"{image['video']}/{frame:05d}.jpg"
        name = annotation["attributes"]["object"]
        mask = data.annToMask(annotation).astype(bool)
        rows, columns = np.nonzero(mask)
        box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert (annotation["area"], annotation["bbox"]) == (mask.sum(), box)
        found[image["video"], name, frame] = mask
        tracks.setdefault(annotation["track_id"], set()).add((image["video"], name))
        assert number == annotation["id"]
    same(found, referents(index))
    assert all(len(objects) == 1 for objects in tracks.values())
    assert len(tracks) == len({key[:2] for key in found})
    assert outcome.counts["masks"] == len(found)
    assert [entry["name"] for entry in data.cats.values()] == ["object"]
    no_target = sum(not expression.anno_ids for expression in index.expressions)
    assert outcome.counts["expressions without an object"] == no_target > 0


def test_youtube_vis_has_a_mask_or_null_per_frame(
    run_stage: Run, root: Path, index: Index, tmp_path: Path
) -> None:
    config = ExportConfig(format="ytvis")
    run_stage(STAGE, config, ExportInputs(root / "index"), tmp_path / "out")
    data = json.loads((tmp_path / "out" / "annotations.json").read_text())
    videos = {video["id"]: video for video in data["videos"]}
    found: Masks = {}
    for annotation in data["annotations"]:
        video = videos[annotation["video_id"]]
        names = [Path(name).stem for name in video["file_names"]]
        video_id = Path(video["file_names"][0]).parent.name
        assert len(annotation["segmentations"]) == video["length"] == len(names)
        for frame, rle in enumerate(annotation["segmentations"]):
            assert (rle is None) == (annotation["areas"][frame] is None)
            if rle is not None:
                mask = coco.decode(rle).astype(bool)
                assert annotation["areas"][frame] == mask.sum()
                found[video_id, annotation["object"], frame] = mask
        about = {
            e.text for e in index.expressions_of(video_id) if annotation["object"] in e.anno_ids
        }
        assert set(annotation["sentences"]) == about
    same(found, referents(index))


def test_palette_images_are_a_data_set_again(
    run_stage: Run, root: Path, index: Index, tmp_path: Path
) -> None:
    config = ExportConfig(format="davis-palette")
    outcome = run_stage(STAGE, config, ExportInputs(root / "index"), tmp_path / "out")
    assert outcome.counts["pixels covered by smaller objects"] == 0  # as in every rendered scene
    shutil.copytree(root / "toy" / "train" / "JPEGImages", tmp_path / "out" / "JPEGImages")
    run_stage(BUILD_MOMENTS, IndexConfig(), IndexInputs(tmp_path / "out"), tmp_path / "index")
    again = Index.open(tmp_path / "index")
    assert [(e.key, e.text) for e in again.expressions] == [
        (e.key, e.text) for e in index.expressions
    ]
    for old, new in zip(index.expressions, again.expressions, strict=True):
        for mine, its in zip(old.anno_ids, new.anno_ids, strict=True):
            assert again.masks.frames_of(its) == {
                frame: rle for frame, rle in index.masks.frames_of(mine).items() if coco.area(rle)
            }


def test_of_overlapping_objects_the_smaller_one_is_seen_and_the_loss_is_counted(
    run_stage: Run, root: Path, tmp_path: Path
) -> None:
    preds = tmp_path / "preds"
    for name, box in (("0", (0, 0, 8, 8)), ("1", (2, 2, 4, 4)), ("2", (9, 9, 10, 10))):
        image = Image.new("L", (10, 10))
        image.paste(255, box)
        (preds / "v" / name).mkdir(parents=True)
        image.save(preds / "v" / name / "f2.png")
    config = ExportConfig(format="davis-palette")
    outcome = run_stage(STAGE, config, ExportInputs(preds), tmp_path / "out")
    with Image.open(tmp_path / "out" / "Annotations" / "v" / "f2.png") as image:
        assert image.mode == "P"
        assert image.getpalette()[3:9] == [128, 0, 0, 0, 128, 0]
        pixels = np.asarray(image)
    assert (pixels[0, 0], pixels[2, 2], pixels[9, 9], pixels[8, 8]) == (1, 2, 3, 0)
    assert outcome.counts["pixels covered by smaller objects"] == 4
    rows = list(csv.reader((tmp_path / "out" / "expressions.csv").open()))
    assert rows[1:] == [["v", str(n), f"expression {n}", str(n + 1)] for n in range(3)]


def test_more_objects_than_a_palette_has_are_refused(run_stage: Run, tmp_path: Path) -> None:
    for number in range(256):
        folder = tmp_path / "preds" / "v" / str(number)
        folder.mkdir(parents=True)
        Image.new("L", (2, 2), 255).save(folder / "0.png")
    config = ExportConfig(format="davis-palette")
    with pytest.raises(Exception, match=r"256 objects are too many .* hold 255; use another"):
        run_stage(STAGE, config, ExportInputs(tmp_path / "preds"), tmp_path / "out")


def test_cvat_runs_go_along_the_rows_of_the_box(
    run_stage: Run, root: Path, index: Index, tmp_path: Path
) -> None:
    run_stage(STAGE, ExportConfig(format="cvat"), ExportInputs(root / "index"), tmp_path / "out")
    found: Masks = {}
    for path in (tmp_path / "out").glob("*.xml"):
        document = ElementTree.parse(path)
        assert document.findtext("version") == "1.1"
        assert [e.text for e in document.iterfind("meta/task/labels/label/name")] == ["object"]
        for image in document.iterfind("image"):
            for element in image.iterfind("mask"):
                mask = np.zeros((int(image.get("height")), int(image.get("width"))), bool)
                runs = [int(run) for run in element.get("rle").split(",")]
                left, top, width, height = (
                    int(element.get(name)) for name in ("left", "top", "width", "height")
                )
                box = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
                mask[top : top + height, left : left + width] = box
                name = element.findtext("attribute[@name='track_id']")
                found[path.stem, name, int(image.get("id"))] = mask
    same(found, referents(index))


def test_yolo_polygons_hold_the_pixels_of_filled_masks(
    run_stage: Run, root: Path, index: Index, tmp_path: Path
) -> None:
    config = ExportConfig(format="yolo", per="sentence")
    outcome = run_stage(STAGE, config, ExportInputs(root / "index"), tmp_path / "out")
    lines = (tmp_path / "out" / "data.yaml").read_text().splitlines()
    names = [json.loads(line.partition(": ")[2]) for line in lines[4:]]
    assert names == list(dict.fromkeys(e.text for e in index.expressions if e.anno_ids))
    expected = sum(
        any(index.masks.rle(anno_id, frame) is not None for anno_id in expression.anno_ids)
        for expression in index.expressions
        for frame in range(index.videos[expression.video_id].num_frames)
    )
    files = list((tmp_path / "out" / "labels").rglob("*.txt"))
    objects = [line.split() for path in files for line in path.read_text().splitlines()]
    assert len(files) == outcome.counts["frames"]
    assert len(objects) == outcome.counts["masks"] == expected
    for number, *values in objects:
        points = np.array(values, float).reshape(-1, 2)
        assert 0 <= int(number) < len(names)
        assert points.min() >= 0
        assert points.max() <= 1


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)).filter(np.any))
def test_a_polygon_is_exact_at_the_centres_of_pixels(mask: np.ndarray) -> None:
    polygon, filled = mask_polygon(mask)
    height, width = mask.shape
    points = polygon[:, ::-1] * (height, width) - 0.5
    whole = binary_fill_holes(mask)
    inside = grid_points_in_poly(mask.shape, points)
    if label(whole, np.ones((3, 3)))[1] == 1:  # lines between parts may cross a centre
        assert np.array_equal(inside, whole)
    assert inside[whole].all()
    assert filled == whole.sum() - mask.sum()


@given(st.integers(1, 6), st.integers(1, 6))
def test_a_full_frame_is_a_polygon_of_its_edges(height: int, width: int) -> None:
    polygon, _ = mask_polygon(np.ones((height, width), bool))
    assert {polygon.min(), polygon.max()} == {0.0, 1.0}


def test_pngs_of_single_objects_are_the_predictions(
    run_stage: Run, root: Path, tmp_path: Path
) -> None:
    config = ExportConfig(format="png-per-object")
    inputs = ExportInputs(root / "preds", root / "index")
    run_stage(STAGE, config, inputs, tmp_path / "out")
    files = sorted(path.relative_to(root / "preds") for path in (root / "preds").rglob("*.png"))
    made = (tmp_path / "out").rglob("*.png")
    assert sorted(path.relative_to(tmp_path / "out") for path in made) == files
    for name in files:
        one, other = (np.asarray(Image.open(r / name)) for r in (root / "preds", tmp_path / "out"))
        assert np.array_equal(one, other)

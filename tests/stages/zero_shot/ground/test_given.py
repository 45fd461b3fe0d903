"""Candidates made elsewhere: COCO results and foreign tables, matched with an index or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco
from spoiling import QUICK, error_or_success, spoilt_json

from schemas.errors import ConfigError, CorruptInput, MissingInput, TglError
from schemas.parquet import read_table
from schemas.tables import CANDIDATES
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD
from stages.core.index.index import Index
from stages.core.media.rle import decode
from stages.zero_shot.ground.config import FILE, GroundConfig, GroundInputs, ground_parts
from stages.zero_shot.ground.given import read_given
from stages.zero_shot.ground.stage import STAGE

HEIGHT, WIDTH = 12, 16


@pytest.fixture
def index(run_stage: Callable, mevis, tmp_path: Path) -> Path:
    """Videos a (6 frames; 0 "the left one jumps", 1 "two that run", 2) and b (3 frames; 0)."""
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    return tmp_path / "index"


def result(**changes: Any) -> dict[str, Any]:
    """A result of a/1 on frame 2; a change to None takes the key away."""
    whole = {
        "image_id": "a/00002",
        "sentence": "two that run",
        "bbox": [1, 2, 3, 4],
        "score": 0.5,
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not None}


def read(index: Path, document: object) -> list[dict[str, Any]]:
    path = index.with_name("results.json")
    path.write_text(json.dumps(document))
    return read_given(path, Index.open(index)).table.to_pylist()


def test_results_become_candidates_best_first(index: Path) -> None:
    rows = read(index, [result(), result(score=0.75, bbox=[0, 0, 16, 12]), result(score=-2)])
    assert [(r["rank"], r["score"]) for r in rows] == [(0, 0.75), (1, 0.5), (2, -2)]
    first, second = rows[:2]
    assert (first["x0"], first["y0"], first["x1"], first["y1"]) == (0, 0, 16, 12)
    assert (second["x0"], second["y0"], second["x1"], second["y1"]) == (1, 2, 4, 6)
    assert second["video_id"] == "a"
    assert second["expression_id"] == "1"
    assert second["frame"] == 2
    assert second["source"] == "results"
    assert second["counts"] is second["phrase"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"image_id": "a/00002.jpg"},
        {"image_id": "JPEGImages/a/00002.jpg"},
        {"sentence": " two that run "},
        {"sentence": None, "caption": "two that run"},
        {"sentence": None, "expression_id": "1"},
        {"sentence": None, "expression_id": 1},
    ],
)
def test_names_of_frames_and_sentences(index: Path, changes: dict[str, Any]) -> None:
    (row,) = read(index, [result(**changes)])
    assert (row["video_id"], row["expression_id"], row["frame"]) == ("a", "1", 2)


def test_numbers_name_images_and_categories(index: Path) -> None:
    document = {
        "images": [{"id": 7, "file_name": "a/00002.jpg"}, {"id": 8, "file_name": "b/00000.jpg"}],
        "categories": [{"id": 3, "name": "two that run"}],
        "annotations": [result(image_id=7, sentence=None, category_id=3)],
    }
    (row,) = read(index, document)
    assert (row["video_id"], row["expression_id"], row["frame"]) == ("a", "1", 2)


def test_a_sentence_that_is_there_twice_gets_its_boxes_twice(
    run_stage: Callable, mevis, tmp_path: Path
) -> None:
    mevis.expression("a", "2")["exp"] = "two that run"
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    rows = read(tmp_path / "index", [result()])
    assert [r["expression_id"] for r in rows] == ["1", "2"]


def test_masks_in_every_form(index: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[2:6, 1:4] = 1
    packed = coco.encode(np.asfortranarray(mask))
    runs = [1 * HEIGHT + 2, 4, 8, 4, 8, 4]
    whole = [*runs, HEIGHT * WIDTH - sum(runs)]
    forms = [
        {"size": [HEIGHT, WIDTH], "counts": packed["counts"].decode()},
        {"size": [HEIGHT, WIDTH], "counts": whole},
        [[1, 2, 4, 2, 4, 6, 1, 6]],
    ]
    rows = read(index, [result(segmentation=form) for form in forms])
    for row in rows:
        found = decode({"size": [HEIGHT, WIDTH], "counts": row["counts"]}, where="test")
        assert found.tolist() == mask.tolist()


REFUSED = {
    "results.json, result 0: the image 'c/00000' is not VIDEO/FRAME of a": {"image_id": "c/00000"},
    "the image '00002' is not VIDEO/FRAME": {"image_id": "00002"},
    "video a has no frame 00006": {"image_id": "a/00006"},
    "image_id 5 is not in images": {"image_id": 5},
    "image_id None is not in images": {"image_id": None},
    "video a has no sentence 'a dog'": {"sentence": "a dog"},
    "video a has no expression 9": {"sentence": None, "expression_id": "9"},
    "result 0: names no sentence; give expression_id, sentence, or": {"sentence": None},
    "result 0: names no sentence; give": {"sentence": None, "category_id": []},
    "bbox is not": {"bbox": [1, 2, 3]},
    "a number of bbox is not a finite number": {"bbox": [1, 2, 3, "4"]},
    r"the box .* has a negative size": {"bbox": [1, 2, -3, 4]},
    "score is not a finite number": {"score": float("nan")},
    r"expression 1, frame 2: the box \(17, 2, 20, 6\) lies outside the frame of 16x12": {
        "bbox": [17, 2, 3, 4]
    },
    "the mask is 3x2, the frame 16x12": {"segmentation": {"size": [2, 3], "counts": [6]}},
    "the RLE has no counts": {"segmentation": {"size": [HEIGHT, WIDTH]}},
    "a polygon of segmentation is not": {"segmentation": [[1, 2]]},
    "a polygon lies far outside": {"segmentation": [[0, 0, 9e9, 0, 9, 9]]},
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_result_that_cannot_be_matched_is_refused(index: Path, message: str) -> None:
    with pytest.raises(CorruptInput, match=message):
        read(index, [result(**REFUSED[message])])


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (7, "a JSON object is needed"),
        ({}, "has no list of annotations"),
        ([7], "result 0: a JSON object is needed"),
        ({"annotations": [], "images": [{"id": 1}]}, "images 0: lacks id or file_name"),
        (
            {"annotations": [], "categories": [{"id": 1, "name": "x"}] * 2},
            "categories: the id 1 is used twice",
        ),
    ],
)
def test_other_documents_are_refused(index: Path, document: object, message: str) -> None:
    with pytest.raises(CorruptInput, match=message):
        read(index, document)


def test_the_stage_takes_candidates_over(run_stage: Callable, index: Path, tmp_path: Path) -> None:
    config = GroundConfig(model=FILE)
    path = tmp_path / "results.json"
    path.write_text(json.dumps([result(bbox=[-2, 0, 6, 5]), result(image_id="a/00000")]))
    inputs = ground_parts(index, config, candidates=path, objects=None)
    outcome = run_stage(STAGE, config, inputs, tmp_path / "out")
    assert outcome.counts["candidates"] == 2
    assert outcome.counts["boxes clipped to the frame"] == 1
    assert outcome.counts["expressions without candidates"] == 3
    rows = read_table(tmp_path / "out/candidates.parquet", CANDIDATES)
    inputs = ground_parts(index, config, candidates=tmp_path / "out", objects=None)
    run_stage(STAGE, config, inputs, tmp_path / "again")
    assert read_table(tmp_path / "again/candidates.parquet", CANDIDATES).equals(rows)
    absent = ground_parts(index, config, candidates=tmp_path / "none.json", objects=None)
    with pytest.raises(MissingInput, match=r"none.json: no such file"):
        run_stage(STAGE, config, absent, tmp_path / "none")


def test_a_file_and_a_model_exclude_each_other(index: Path) -> None:
    with pytest.raises(ConfigError, match="needs the file that --from names"):
        GroundInputs(index).check(GroundConfig(model=FILE))
    with pytest.raises(ConfigError, match="--model x: excludes --from; give either"):
        GroundInputs(index, candidates=index).check(GroundConfig(model="x"))
    with pytest.raises(ConfigError, match="--objects: is used with --model objects only"):
        GroundInputs(index, objects=index).check(GroundConfig(model="x"))


@QUICK
@given(data=st.data())
def test_spoilt_results(data: st.DataObject, index: Path) -> None:
    document = {
        "images": [{"id": 7, "file_name": "a/00002.jpg"}],
        "categories": [{"id": 3, "name": "two that run"}],
        "annotations": [
            result(image_id=7, sentence=None, category_id=3),
            result(segmentation={"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}),
            result(segmentation=[[1, 2, 4, 2, 4, 6, 1, 6]]),
        ],
    }
    path = index.with_name("spoilt.json")
    path.write_text(data.draw(spoilt_json(document)), errors="surrogatepass")
    with error_or_success():
        read_given(path, Index.open(index))


def test_every_refusal_is_one_of_tgl(index: Path) -> None:
    with pytest.raises(TglError):
        read(index, [result(image_id="a/00002\n")])

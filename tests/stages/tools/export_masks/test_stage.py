"""The stage: sources, selection, resuming and damage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from schemas.errors import CorruptInput, MissingInput
from schemas.parquet import write_table
from schemas.tables import OBJECTS
from stages.core.datasets.palette import palette_png
from stages.core.index.index import Index
from stages.tools.export_masks.config import ExportConfig, ExportInputs
from stages.tools.export_masks.stage import STAGE

Run = Callable[..., Any]


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "receipt.json"
    }


def annotations(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "annotations.json").read_text())


def test_the_second_run_skips_and_another_format_is_written(
    run_stage: Run, root: Path, tmp_path: Path
) -> None:
    inputs, out = ExportInputs(root / "index"), tmp_path / "out"
    assert not run_stage(STAGE, ExportConfig(), inputs, out).skipped
    assert run_stage(STAGE, ExportConfig(), inputs, out).skipped
    assert not run_stage(STAGE, ExportConfig(format="ytvis"), inputs, out).skipped
    assert "videos" in annotations(out)


@pytest.mark.parametrize(("name", "workers"), [("coco", 1), ("davis-palette", 2)])
def test_a_killed_run_resumes_with_any_number_of_workers(
    run_stage: Run, killed_run: Run, root: Path, tmp_path: Path, name: str, workers: int
) -> None:
    config, inputs = ExportConfig(format=name), ExportInputs(root / "preds", root / "index")
    run_stage(STAGE, config, inputs, tmp_path / "one")
    killed_run(STAGE, config, inputs, tmp_path / "two", 2)
    assert not (tmp_path / "two").exists()
    run_stage(STAGE, config, inputs, tmp_path / "two", workers=workers)
    assert files_of(tmp_path / "two") == files_of(tmp_path / "one")


def test_predictions_with_an_index_have_its_sentences(
    run_stage: Run, root: Path, index: Index, tmp_path: Path
) -> None:
    preds = tmp_path / "preds"
    shutil.copytree(root / "preds", preds)
    shutil.copytree(preds / "train_0000" / "0", preds / "train_0000" / "unheard-of")
    (preds / "train_0001" / "0" / "00003.png").unlink()
    inputs = ExportInputs(preds, root / "index")
    outcome = run_stage(STAGE, ExportConfig(), inputs, tmp_path / "out")
    found = annotations(tmp_path / "out")
    names = [category["name"] for category in found["categories"]]
    assert names == list(dict.fromkeys(expression.text for expression in index.expressions))
    assert outcome.counts["predictions without a sentence"] == 1
    assert outcome.counts["masks without a file"] == 1
    assert outcome.counts["objects"] == len(index.expressions)


def test_predictions_alone_have_their_own_names_in_natural_order(
    run_stage: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "preds" / "v" / "10"
    folder.mkdir(parents=True)
    for name in ("f10", "f9"):
        Image.new("L", (3, 2), 255).save(folder / f"{name}.png")
    run_stage(STAGE, ExportConfig(), ExportInputs(tmp_path / "preds"), tmp_path / "out")
    found = annotations(tmp_path / "out")
    assert [image["file_name"] for image in found["images"]] == ["v/f9.jpg", "v/f10.jpg"]
    assert [category["name"] for category in found["categories"]] == ["expression 10"]


@pytest.mark.parametrize("kind", ["palette", "folders"])
def test_single_objects_of_predictions(run_stage: Run, tmp_path: Path, kind: str) -> None:
    preds, masks = tmp_path / "preds", np.zeros((2, 4, 5), bool)
    masks[0, :2], masks[1, 3] = True, True
    (preds / "v" / "0").mkdir(parents=True)
    Image.new("L", (5, 4), 255).save(preds / "v" / "0" / "00000.png")
    objects = preds / "ObjectMasks" / "v" / "0"
    if kind == "palette":
        objects.mkdir(parents=True)
        (objects / "00000.png").write_bytes(palette_png([(2, masks[1]), (1, masks[0])], (4, 5)))
    else:
        for name, mask in zip("ab", masks, strict=True):
            (objects / name).mkdir(parents=True)
            Image.fromarray(mask.astype(np.uint8) * 255).save(objects / name / "00000.png")
    rows = [
        {
            "video_id": "v",
            "expression_id": "0",
            "anno_id": name,
            "number": number,
            "score": None,
            "visible_frames": 1,
        }
        for number, name in enumerate("ab", start=1)
    ]
    table = pa.Table.from_pylist(rows, OBJECTS.schema)
    write_table(preds / "objects.parquet", table, OBJECTS)
    config = ExportConfig(per="referent")
    run_stage(STAGE, config, ExportInputs(preds), tmp_path / "out")
    found = annotations(tmp_path / "out")["annotations"]
    assert [(a["attributes"]["object"], a["area"]) for a in found] == [("0-a", 10), ("0-b", 5)]
    assert [a["bbox"] for a in found] == [[0, 0, 5, 2], [0, 3, 5, 1]]


def test_what_is_missing_is_named(run_stage: Run, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(MissingInput, match=r"no masks of video train_01; did you mean train_0001"):
        run_stage(STAGE, ExportConfig(only=("train_01",)), ExportInputs(root / "index"), out)
    with pytest.raises(MissingInput, match=r"has no objects.parquet.*leave out --per referent"):
        run_stage(STAGE, ExportConfig(per="referent"), ExportInputs(root / "preds"), out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInput, match="no predictions, expected VIDEO/EXPRESSION"):
        run_stage(STAGE, ExportConfig(), ExportInputs(tmp_path / "empty"), out)
    assert not out.exists()


def test_a_damaged_mask_is_one_line_and_the_other_videos_are_exported(
    run_stage: Run, root: Path, tmp_path: Path
) -> None:
    preds = tmp_path / "preds"
    shutil.copytree(root / "preds", preds)
    path = preds / "train_0000" / "0" / "00000.png"
    path.write_bytes(path.read_bytes()[:50])
    outcome = run_stage(STAGE, ExportConfig(), ExportInputs(preds), tmp_path / "out")
    assert outcome.counts["failed videos"] == 1
    assert [str(path) in line and "\n" not in line for line in outcome.failures.values()] == [True]
    videos = {image["video"] for image in annotations(tmp_path / "out")["images"]}
    assert videos == {"train_0001", "train_0002"}
    Image.new("L", (4, 4)).save(path)
    with pytest.raises(CorruptInput, match="is 4x4, its video 40x40"):
        config = ExportConfig(only=("train_0000",))
        inputs = ExportInputs(preds, root / "index")
        run_stage(STAGE, config, inputs, tmp_path / "out2")

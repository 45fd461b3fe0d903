"""Frames between tracked ones: each object of a sentence is moved alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from tracks_mini import block, write_tracks

from schemas.directories import list_folder
from schemas.parquet import read_table, rows_of, write_table
from schemas.tables import EXPRESSIONS, MASKS, MOMENTS, OBJECTS, PROPAGATION, VIDEOS
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD
from stages.core.media.rle import encode
from stages.tools.segment.between import filling, objects
from stages.tools.segment.between.choosing import STAGE as CHOOSE
from stages.tools.segment.between.choosing import ChoiceConfig, ChoiceInputs
from stages.tools.segment.between.filling import STAGE, FillConfig, FillInputs
from stages.zero_shot.assemble.config import PALETTE, AssembleConfig, AssembleInputs
from stages.zero_shot.assemble.stage import STAGE as ASSEMBLE

KNOWN = (0, 2, 4, 5)
STILL = block(6, top=5)
"""The second object, which does not move, and is hidden from frame 4 on."""
ACCEPTED = [("0", "a.0", 0.8), ("1", "a.0", None), ("1", "a.2", 0.5)]
"""Sentence, track and score; a/2 has no track."""


@pytest.fixture
def inputs(run_stage: Callable, mevis, tmp_path: Path) -> FillInputs:
    """The video a of the miniature, of which four frames were tracked."""
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "both")
    whole, some, tracks = (tmp_path / name for name in ("index", "some", "tracks"))
    whole.mkdir()
    for name, spec in (("videos", VIDEOS), ("expressions", EXPRESSIONS)):
        table = read_table(tmp_path / "both" / f"{name}.parquet", spec)
        own = [row for row in table.to_pylist() if row["video_id"] == "a"]
        write_table(whole / f"{name}.parquet", rows_of(own, spec), spec)
    for name, spec in (("moments", MOMENTS), ("masks", MASKS)):
        write_table(whole / f"{name}.parquet", rows_of([], spec), spec)
    run_stage(CHOOSE, ChoiceConfig(tuple(map(str, KNOWN))), ChoiceInputs(whole), some)
    write_tracks(some, tracks)
    shown = {
        "a.0": {place: block(frame) for place, frame in enumerate(KNOWN)},
        "a.2": {0: STILL, 1: STILL},
    }
    masks = [
        {"anno_id": name, "frame": place, "height": 12, "width": 16, **encoded(mask)}
        for name, own in shown.items()
        for place, mask in own.items()
    ]
    write_table(tracks / "masks.parquet", rows_of(masks, MASKS), MASKS)
    moments = [
        {"video_id": "a", "expression_id": sentence, "anno_id": anno_id, "source": "test",
         "start_frame": 1, "end_frame": 3, "score": score}
        for sentence, anno_id, score in ACCEPTED
    ]  # fmt: skip
    write_table(tmp_path / "moments.parquet", rows_of(moments, MOMENTS), MOMENTS)
    given = AssembleInputs(tracks, tmp_path / "moments.parquet")
    run_stage(ASSEMBLE, AssembleConfig(), given, tmp_path / "known")
    return FillInputs(whole, some, tmp_path / "known", tracks)


def encoded(mask: np.ndarray) -> dict[str, object]:
    return {"counts": encode(mask)["counts"], "area": int(mask.sum())}


def images(folder: Path) -> np.ndarray:
    """(6, H, W)."""
    return np.stack([np.asarray(Image.open(folder / f"{frame:05d}.png")) for frame in range(6)])


def test_objects_are_filled_one_by_one(
    run_stage: Callable, inputs: FillInputs, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run_stage(STAGE, FillConfig(PALETTE), inputs, out)
    moving = np.stack([block(frame) for frame in range(6)])
    still = np.stack([STILL & (frame < 4) for frame in range(6)])
    still[3] = False  # nearer to frame 4, where it is hidden
    numbers = images(out / "ObjectMasks" / "a" / "1")
    assert (numbers == np.where(still, 2, moving.astype(int))).all()  # the better one covers
    assert (images(out / "ObjectMasks" / "a" / "0") == moving).all()
    assert not images(out / "ObjectMasks" / "a" / "2").any()
    for sentence, mask in (("0", moving), ("1", moving | still), ("2", still & False)):
        assert (images(out / "a" / sentence) == 255 * mask).all()
    objects = read_table(out / "objects.parquet", OBJECTS).to_pylist()
    assert [tuple(row.values()) for row in objects] == [
        ("a", "0", "a.0", 1, pytest.approx(0.8), 6),
        ("a", "1", "a.0", 1, None, 6),
        ("a", "1", "a.2", 2, 0.5, 3),
    ]
    rows = read_table(out / "propagation.parquet", PROPAGATION).to_pylist()
    areas = [row["mask_area"] for row in rows if row["expression_id"] == "1"]
    assert areas == (moving | still).sum(axis=(1, 2)).tolist()


def test_images_of_objects_are_written_if_asked_for(
    run_stage: Callable, inputs: FillInputs, tmp_path: Path
) -> None:
    run_stage(STAGE, FillConfig(), inputs, tmp_path / "out")
    assert not (tmp_path / "out" / "ObjectMasks").exists()
    assert not run_stage(STAGE, FillConfig(PALETTE), inputs, tmp_path / "out").skipped
    assert (tmp_path / "out" / "ObjectMasks" / "a" / "1").is_dir()
    assert run_stage(STAGE, FillConfig(PALETTE), inputs, tmp_path / "out").skipped


@pytest.mark.parametrize("told_apart", [True, False])
def test_a_video_with_the_same_masks_is_taken_over(
    run_stage: Callable,
    inputs: FillInputs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    told_apart: bool,
) -> None:
    if not told_apart:
        inputs = replace(inputs, tracks=None)
    run_stage(STAGE, FillConfig(PALETTE), inputs, tmp_path / "out")
    first = list_folder(tmp_path / "out")
    calls: list[object] = []
    between = filling.masks_between if not told_apart else objects.masks_between
    module = objects if told_apart else filling
    monkeypatch.setattr(module, "masks_between", lambda *a: (calls.append(a), between(*a))[1])
    write_table(inputs.some / "moments.parquet", one_moment(), MOMENTS)  # which nobody reads
    assert not run_stage(STAGE, FillConfig(PALETTE), inputs, tmp_path / "out").skipped
    assert not calls
    assert list_folder(tmp_path / "out") == first
    mask = inputs.masks / "a" / "0" / "00002.png"
    changed = np.array(Image.open(mask))
    changed[:3] = 255
    Image.fromarray(changed).save(mask)
    table = inputs.tracks or inputs.some
    if told_apart:
        rows = read_table(table / "masks.parquet", MASKS).to_pylist()
        rows[1] |= encoded(changed > 0)
        write_table(table / "masks.parquet", rows_of(rows, MASKS), MASKS)
    run_stage(STAGE, FillConfig(PALETTE), inputs, tmp_path / "out")
    assert calls
    assert images(tmp_path / "out" / "a" / "0")[2, 0].all()


def one_moment() -> pa.Table:
    row = {"video_id": "a", "expression_id": "0", "anno_id": None, "source": "test",
           "start_frame": 1, "end_frame": 3, "score": None}  # fmt: skip
    return rows_of([row], MOMENTS)

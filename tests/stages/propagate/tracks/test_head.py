"""Masks made of tracks that the track head chooses; its weights are random here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from track_runs import objects, propagate, with_tracks

from schemas.layouts import MOMENTS_TABLE, PROPAGATION_TABLE
from schemas.parquet import read_table
from schemas.tables import MOMENTS, PROPAGATION
from stages.core.model.checkpoint import load_checkpoint, save_checkpoint
from stages.core.model.config import TrackThresholds
from stages.propagate.config import PropagateInputs

HEAD = {"tracks": "file", "object_gate": False}
WITH_TARGET = {("a", "0"), ("a", "1"), ("b", "0"), ("c", "x y")}


@pytest.fixture
def inputs(world: Any, tmp_path: Path) -> PropagateInputs:
    return with_tracks(world, tmp_path / "tracks")


def calibrated(inputs: PropagateInputs, folder: Path, no_target: float) -> PropagateInputs:
    model = load_checkpoint(inputs.checkpoint)
    assert model.track_head is not None
    model.thresholds = TrackThresholds(no_target)
    save_checkpoint(folder, model, encoder="random")
    return replace(inputs, checkpoint=folder)


def test_the_head_chooses_at_least_one_track_of_an_annotated_moment(
    inputs: PropagateInputs, tmp_path: Path
) -> None:
    propagate(inputs, tmp_path / "out", **HEAD)
    assert set(objects(tmp_path / "out")) == WITH_TARGET


def test_moments_come_out_per_referent(inputs: PropagateInputs, tmp_path: Path) -> None:
    outcome, _ = propagate(inputs, tmp_path / "out", **HEAD, relevance_threshold=0.3)
    rows = read_table(tmp_path / "out" / MOMENTS_TABLE, MOMENTS).to_pylist()
    chosen = objects(tmp_path / "out")
    assert rows
    assert outcome.counts["moments"] == len(rows)
    for row in rows:
        own = chosen[row["video_id"], row["expression_id"]]
        assert row["anno_id"] in {track["anno_id"] for track in own}
        assert 0 <= row["start_frame"] < row["end_frame"]
        assert row["source"] == "predicted"


@pytest.mark.parametrize(("option", "empty"), [("0", False), ("off", False), ("1", True)])
def test_below_the_threshold_masks_are_empty(
    inputs: PropagateInputs, tmp_path: Path, option: str, empty: bool
) -> None:
    out = tmp_path / "out"
    propagate(inputs, out, **HEAD, moments="predicted", no_target_threshold=option)
    assert (objects(out) == {}) == empty
    areas = read_table(out / PROPAGATION_TABLE, PROPAGATION).column("mask_area").to_pylist()
    assert (max(areas) == 0) == empty


@pytest.mark.parametrize(("no_target", "empty"), [(0.0, False), (1.0, True)])
def test_auto_is_what_the_checkpoint_was_calibrated_to(
    inputs: PropagateInputs, tmp_path: Path, no_target: float, empty: bool
) -> None:
    known = calibrated(inputs, tmp_path / "ck", no_target)
    propagate(known, tmp_path / "out", **HEAD, moments="predicted")
    assert (objects(tmp_path / "out") == {}) == empty


def test_the_vote_takes_its_place_where_there_is_no_head(
    inputs: PropagateInputs, tmp_path: Path
) -> None:
    model = load_checkpoint(inputs.checkpoint)
    save_checkpoint(tmp_path / "ck", model, encoder="random", with_head=False)
    without = replace(inputs, checkpoint=tmp_path / "ck")
    more = {"moments": "all", "vote_threshold": 0.05}
    propagate(without, tmp_path / "head", **HEAD, **more)
    propagate(inputs, tmp_path / "vote", **HEAD, **more, choose="vote")
    assert objects(tmp_path / "head") == objects(tmp_path / "vote")


def test_batches_of_sentences_do_not_change_the_choice(
    inputs: PropagateInputs, tmp_path: Path
) -> None:
    propagate(inputs, tmp_path / "whole", **HEAD)
    propagate(inputs, tmp_path / "single", **HEAD, expressions_per_batch=1)
    whole, single = (objects(tmp_path / name) for name in ("whole", "single"))
    assert whole.keys() == single.keys()
    for key in whole:
        assert [r["anno_id"] for r in whole[key]] == [r["anno_id"] for r in single[key]]
        for one, other in zip(whole[key], single[key], strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=1e-5)

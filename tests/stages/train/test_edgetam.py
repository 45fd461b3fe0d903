"""A run on EdgeTAM from backbone to masks: nothing on the way knows what the backbone is."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from train_mini import FRAMES, SENTENCES, SIZE, VIDEO_IDS, small

from schemas.layouts import WEIGHTS_FILE
from schemas.parquet import read_table
from schemas.tables import PROPAGATION
from stages.core.engine.execute import Outcome
from stages.propagate.config import PropagateConfig, PropagateInputs
from stages.propagate.stage import STAGE as PROPAGATE
from stages.train.config import TrainInputs
from stages.train.stage import STAGE as TRAIN

sys.path.insert(0, str(Path(__file__).parents[1] / "core" / "model"))
from tiny_backbones import tiny_edgetam

PERCEIVER = "backbone.sam.spatial_perceiver."
Run = Callable[..., Outcome]


@pytest.fixture(scope="module", params=["sam2's encoder", "timm's encoder"])
def edgetam(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of random weights."""
    from stages.core.model.backbones.families import build_backbone

    timm = request.param == "timm's encoder"
    if timm:
        pytest.importorskip("timm", reason="EdgeTAM's own image encoder needs tgl[edgetam]")
    folder = tmp_path_factory.mktemp("edgetam") / "tiny"
    torch.manual_seed(0)
    build_backbone(tiny_edgetam(SIZE, timm=timm)).sam.save_pretrained(folder)
    return folder


def test_train_and_propagate_run_on_it(
    run_stage: Run, inputs: TrainInputs, edgetam: Path, tmp_path: Path
) -> None:
    inputs = dataclasses.replace(inputs, backbone=edgetam)
    run_stage(TRAIN, small(steps=2), inputs, tmp_path / "checkpoint")
    before = load_file(edgetam / WEIGHTS_FILE)
    after = load_file(tmp_path / "checkpoint" / WEIGHTS_FILE)
    moved = {
        name
        for name, value in before.items()
        if not torch.equal(value, after[f"backbone.sam.{name}"])
    }
    assert any(name.startswith("spatial_perceiver.") for name in moved)
    assert any(name.startswith("memory_attention.") for name in moved)
    assert not any(name.startswith("vision_encoder.") for name in moved)
    run_stage(
        PROPAGATE,
        PropagateConfig(moments="annotated"),
        PropagateInputs(inputs.index, inputs.text, tmp_path / "checkpoint"),
        tmp_path / "masks",
    )
    rows = read_table(tmp_path / "masks" / "propagation.parquet", PROPAGATION).to_pylist()
    assert len(rows) == len(VIDEO_IDS) * len(SENTENCES) * FRAMES
    assert {row["route"] for row in rows} >= {"language", "propagated"}


def test_its_perceiver_can_be_frozen(
    run_stage: Run, inputs: TrainInputs, edgetam: Path, tmp_path: Path
) -> None:
    inputs = dataclasses.replace(inputs, backbone=edgetam)
    config = small(steps=1, freeze=(PERCEIVER.removesuffix("."),))
    run_stage(TRAIN, config, inputs, tmp_path / "out")
    before, after = load_file(edgetam / WEIGHTS_FILE), load_file(tmp_path / "out" / WEIGHTS_FILE)
    frozen = [name for name in after if name.startswith(PERCEIVER)]
    assert frozen
    for name in frozen:
        assert torch.equal(after[name], before[name.removeprefix("backbone.sam.")])

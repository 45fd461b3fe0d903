"""A run on SAM 3's tracker from its folder to masks, at its own size and with its own pixels."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from train_mini import FRAMES, SENTENCES, VIDEO_IDS, small

from schemas.parquet import read_table
from schemas.tables import PROPAGATION
from stages.core.engine.execute import Outcome
from stages.core.model.backbones.families import build_backbone, load_backbone
from stages.core.model.backbones.sam3 import Sam3Backbone
from stages.core.model.checkpoint import load_checkpoint
from stages.propagate.config import PropagateConfig, PropagateInputs
from stages.propagate.stage import STAGE as PROPAGATE
from stages.train.config import TrainInputs
from stages.train.stage import STAGE as TRAIN

sys.path.insert(0, str(Path(__file__).parents[1] / "core" / "model"))
from tiny_backbones import SAM3_SIZE, tiny_sam3

Run = Callable[..., Outcome]


def test_train_and_propagate_run_on_it(run_stage: Run, inputs: TrainInputs, tmp_path: Path) -> None:
    torch.manual_seed(0)
    build_backbone(tiny_sam3()).sam.save_pretrained(tmp_path / "sam3")
    inputs = dataclasses.replace(inputs, backbone=tmp_path / "sam3")
    run_stage(TRAIN, small(steps=2), inputs, tmp_path / "checkpoint")
    trained = load_checkpoint(tmp_path / "checkpoint").backbone
    assert isinstance(trained, Sam3Backbone)
    assert trained.image_size == SAM3_SIZE
    before, after = load_backbone(tmp_path / "sam3").sam.state_dict(), trained.sam.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
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

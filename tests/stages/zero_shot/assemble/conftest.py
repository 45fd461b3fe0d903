"""Tracks of the miniature, and moments that accept some of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from tracks_mini import write_tracks

from schemas.parquet import rows_of, write_table
from schemas.tables import MOMENTS
from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD
from stages.core.model.backbones.families import build_backbone
from stages.core.model.backbones.presets import toy_preset
from stages.zero_shot.assemble.config import AssembleInputs

Row = tuple[str, str, str | None, int, int, float | None]
ROWS: list[Row] = [
    ("a", "0", "a.0", 1, 3, 0.8),
    ("a", "1", "a.2", 4, 6, 0.5),
    ("a", "1", "a.0", 0, 2, None),
    ("b", "0", None, 1, 2, 0.25),
]
"""Video, sentence, track, span and score; a/2 has no track."""


@dataclass(frozen=True)
class Tracks:
    """Where everything lies."""

    root: Path

    @property
    def inputs(self) -> AssembleInputs:
        return AssembleInputs(self.root / "tracks", self.root / "moments.parquet")

    def accept(self, rows: list[Row]) -> None:
        """Write the moments table."""
        names = ("video_id", "expression_id", "anno_id", "start_frame", "end_frame", "score")
        records = [dict(zip(names, row, strict=True)) | {"source": "test"} for row in rows]
        write_table(self.root / "moments.parquet", rows_of(records, MOMENTS), MOMENTS)


@pytest.fixture
def tracks(run_stage: Callable, mevis, tmp_path: Path) -> Tracks:
    run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), tmp_path / "index")
    write_tracks(tmp_path / "index", tmp_path / "tracks")
    made = Tracks(tmp_path)
    made.accept(ROWS)
    return made


@pytest.fixture(scope="session")
def backbone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random SAM 2 that sees an object everywhere."""
    torch.manual_seed(0)
    backbone = build_backbone(toy_preset(64))
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
        head = backbone.sam.mask_decoder.pred_obj_score_head
        head.proj_out.bias.add_(4.3)
    folder = tmp_path_factory.mktemp("backbone")
    backbone.sam.save_pretrained(folder)
    return folder

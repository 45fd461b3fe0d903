"""Families by role are those that the loaders of each role know."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.errors import ConfigError, CorruptInput
from stages.core.model.backbones.families import FAMILIES as BACKBONES
from stages.core.model.loading.families import (
    CHECKPOINT,
    DETECTORS,
    IMAGE_TEXT,
    TRACKERS,
    model_kind,
    require_image_text,
)
from stages.core.model.loading.hub import TOY_BACKBONE, TOY_CHECKPOINT
from stages.tools.select_moments.judges.odds import QUESTION_FAMILIES
from stages.zero_shot.ground.detectors.registry import FAMILIES as KNOWN_DETECTORS


def test_each_family_can_be_loaded() -> None:
    assert tuple(KNOWN_DETECTORS) == DETECTORS
    assert tuple(BACKBONES) == TRACKERS
    # A judge that is a detector or a tracker is refused without looking further.
    assert not set(QUESTION_FAMILIES) & {*DETECTORS, *TRACKERS}
    assert not set(IMAGE_TEXT) & {*DETECTORS, *TRACKERS}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"model_type": "owlv2"}, "is a owlv2 model, one of clip, siglip, siglip2, blip-2 is"),
        ({"model_type": 3}, "names no model_type, one of clip"),
        ({}, "names no model_type, one of clip"),
        ({"format": "tgl-checkpoint"}, "is a tgl checkpoint, one of clip"),
    ],
)
def test_another_family_is_refused(
    tmp_path: Path, document: dict[str, object], message: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=f"{message}.*; name another model with --judge$"):
        require_image_text(tmp_path, "--judge")


def test_kinds_of_real_folders(tmp_path: Path) -> None:
    assert model_kind(TOY_BACKBONE) == "sam2_video"
    assert model_kind(TOY_CHECKPOINT) == CHECKPOINT
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(CorruptInput):
        model_kind(tmp_path)

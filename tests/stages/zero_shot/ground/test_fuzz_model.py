"""Files of a detector's folder, spoilt at random, give a TglError or success."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from spoiling import FEW, SMALL_VALUES, error_or_success, spoilt_json

from stages.zero_shot.ground.detectors.detector import Limits
from stages.zero_shot.ground.detectors.registry import load_detector


@pytest.mark.parametrize(
    "name", ["config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"]
)
@pytest.mark.parametrize(
    "family", ["owlv2", pytest.param("grounding-dino", marks=pytest.mark.slow)]
)
@FEW
@given(data=st.data())
def test_documents_of_a_detector(
    family: str, name: str, data: st.DataObject, tiny_detector: Callable, tmp_path: Path
) -> None:
    folder = tmp_path / "detector"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tiny_detector(family), folder)
    whole = json.loads((folder / name).read_text())
    (folder / name).write_text(data.draw(spoilt_json(whole, SMALL_VALUES)))
    with error_or_success():
        detector = load_detector(str(folder), device=torch.device("cpu"), precision="fp32")
        frame = detector.prepare(np.zeros((24, 32, 3), np.uint8))
        sentences = detector.encode(["the left one jumps", "a dog"])
        detector.detect([frame], sentences, (24, 32), Limits(3, 0.7, 4))

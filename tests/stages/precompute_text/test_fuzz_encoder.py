"""The files of a text encoder's folder spoilt at random: a TglError or success."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoiling import FEW, SMALL_VALUES, error_or_success, spoilt_json

from stages.precompute_text.config import TextConfig, TextInputs
from stages.precompute_text.stage import STAGE


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
@FEW
@given(data=st.data())
def test_documents_of_an_encoder(
    name: str,
    data: st.DataObject,
    tiny_roberta: Path,
    sentences_index: Callable,
    run_stage: Callable,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "encoder"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tiny_roberta, folder)
    whole = json.loads((folder / name).read_text())
    (folder / name).write_text(data.draw(spoilt_json(whole, SMALL_VALUES)))
    index = sentences_index(["a cat jumping", "the dog runs"])
    with error_or_success():
        run_stage(STAGE, TextConfig(encoder=str(folder)), TextInputs(index, folder), tmp_path / "t")

"""Files of a model's folder, spoilt at random, give a TglError or success."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoiling import FEW, SMALL_VALUES, error_or_success, spoilt_json

from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD
from stages.tools.select_moments.config import SelectConfig, SelectInputs
from stages.tools.select_moments.stage import STAGE


@pytest.mark.parametrize(
    "name", ["config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"]
)
@FEW
@given(data=st.data())
def test_documents_of_a_selector(
    name: str,
    data: st.DataObject,
    tiny_selector: Callable,
    mevis,
    run_stage: Callable,
    tmp_path: Path,
) -> None:
    index = tmp_path / "index"
    if not index.exists():
        run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), index)
    folder = tmp_path / "selector"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tiny_selector("clip"), folder)
    whole = json.loads((folder / name).read_text())
    (folder / name).write_text(data.draw(spoilt_json(whole, SMALL_VALUES)))
    with error_or_success():
        run_stage(
            STAGE, SelectConfig(model=str(folder)), SelectInputs(index, folder), tmp_path / "m"
        )

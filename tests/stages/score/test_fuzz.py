"""Ground truth spoilt at random: `tgl score` answers with a TglError or success."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoiling import QUICK, error_or_success, spoilt_bytes, spoilt_json

from stages.score.config import ScoreConfig, ScoreInputs
from stages.score.stage import STAGE

OUT = "scores"


@pytest.mark.parametrize("name", ["meta_expressions.json", "mask_dict.json", "moments.json"])
@QUICK
@given(data=st.data())
def test_documents_of_mevis(
    name: str, data: st.DataObject, mevis, predictions, run_stage: Callable, tmp_path: Path
) -> None:
    split = mevis.write(frames=not mevis.root.exists())
    whole = json.loads((split / name).read_text())
    (split / name).write_text(data.draw(spoilt_json(whole)))
    _survives(predictions.root, split, run_stage, tmp_path)


@QUICK
@given(data=st.data())
def test_pictures_of_a_submission(
    data: st.DataObject, mevis, predictions, run_stage: Callable, tmp_path: Path
) -> None:
    split = mevis.write(frames=not mevis.root.exists())
    predictions.write()
    path = predictions.path(*data.draw(st.sampled_from(sorted(predictions.masks))))
    path.write_bytes(data.draw(spoilt_bytes(path.read_bytes())))
    _survives(predictions.root, split, run_stage, tmp_path)


def _survives(predictions: Path, truth: Path, run_stage: Callable, root: Path) -> None:
    inputs = ScoreInputs(predictions, truth)
    before = _foreign_files(root)
    with error_or_success():
        run_stage(STAGE, ScoreConfig(missing="zero"), inputs, root / OUT, force=True)
    assert _foreign_files(root) == before


def _foreign_files(root: Path) -> set[str]:
    """What lies in `root` beside the output and what the engine keeps next to it."""
    names = (path.relative_to(root) for path in root.rglob("*"))
    return {name.as_posix() for name in names if OUT not in name.parts[0]}

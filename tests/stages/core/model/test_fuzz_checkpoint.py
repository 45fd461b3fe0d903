"""config.json of a checkpoint spoilt at random: a TglError, or a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from spoiling import FEW, SMALL_VALUES, error_or_success, spoilt_json

from stages.core.model.checkpoint import (
    load_checkpoint,
    read_document,
    save_checkpoint,
    text_encoder,
)
from stages.core.model.tgl import TglModel


@FEW
@given(data=st.data())
def test_configuration_of_a_checkpoint(
    data: st.DataObject, make_model: Callable[..., TglModel], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    whole = tmp_path / "whole.json"
    if not folder.exists():
        save_checkpoint(folder, make_model(), encoder="hash-16")
        (folder / "config.json").rename(whole)
    document = json.loads(whole.read_text())
    (folder / "config.json").write_text(data.draw(spoilt_json(document, SMALL_VALUES)))
    with error_or_success():
        text_encoder(read_document(folder))
        load_checkpoint(folder)

"""texts.parquet spoilt at random: every reader answers with a TglError or success."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from spoiling import QUICK, error_or_success, spoilt_bytes
from spoiling_tables import spoilt_table

from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE as BUILD
from stages.core.index.texts import TextStore
from stages.precompute_text.config import TextConfig, TextInputs
from stages.precompute_text.stage import STAGE as TEXT


@QUICK
@given(data=st.data(), bf16=st.booleans())
def test_texts(data: st.DataObject, bf16: bool, mevis, run_stage: Callable, tmp_path: Path) -> None:
    index = tmp_path / "index"
    sound = tmp_path / ("bf16" if bf16 else "fp16")
    if not index.exists():
        run_stage(BUILD, IndexConfig(), IndexInputs(mevis.write()), index)
    if not sound.exists():
        run_stage(TEXT, TextConfig(dim=8, storage=sound.name), TextInputs(index), sound)
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir(exist_ok=True)
    path = sound / "texts.parquet"
    if data.draw(st.integers(0, 3)):
        pq.write_table(data.draw(spoilt_table(pq.read_table(path))), spoilt / path.name)
    else:
        (spoilt / path.name).write_bytes(data.draw(spoilt_bytes(path.read_bytes())))
    sentences = pq.read_table(path, columns=["expression"]).column(0).to_pylist()
    with error_or_success():
        store = TextStore.open(spoilt)
        for sentence in sentences:
            store.get(sentence)

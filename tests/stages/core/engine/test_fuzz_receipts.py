"""A receipt spoilt at random: the artifact is repaired, found whole or refused; nothing breaks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from spoiling import QUICK, spoilt_bytes, spoilt_json
from toy_stage import COPY, CopyConfig, CopyInputs

from schemas.errors import OutputBlocked


@QUICK
@given(data=st.data())
def test_receipts(data: st.DataObject, source: Path, run_stage: Callable, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_stage(COPY, CopyConfig(), CopyInputs(source), out, force=True)
    receipt = out / "receipt.json"
    if data.draw(st.booleans()):
        receipt.write_text(data.draw(spoilt_json(json.loads(receipt.read_text()))))
    else:
        receipt.write_bytes(data.draw(spoilt_bytes(receipt.read_bytes())))
    try:
        run_stage(COPY, CopyConfig(), CopyInputs(source), out)
    except OutputBlocked:  # nobody can tell any more that it may be replaced
        run_stage(COPY, CopyConfig(), CopyInputs(source), out, force=True)
    assert (out / "copies" / "a").read_text() == "text a "
    assert run_stage(COPY, CopyConfig(), CopyInputs(source), out).skipped

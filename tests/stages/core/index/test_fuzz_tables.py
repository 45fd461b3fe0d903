"""Tables of an index spoilt at random, as a foreign tool might write them: every reader of them
answers with a TglError or success. A minute's worth: see spoiling.py."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoiling import QUICK, error_or_success, spoilt_bytes
from spoiling_tables import spoilt_table

from stages.build_moments.config import IndexConfig, IndexInputs
from stages.build_moments.stage import STAGE
from stages.core.engine.execute import execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.core.index.index import Index
from stages.core.moment_formats import FORMAT_NAMES
from stages.precompute_text.config import TextConfig, TextInputs
from stages.precompute_text.stage import STAGE as TEXT_STAGE
from stages.tools.check.check import check
from stages.tools.check.config import CheckConfig
from stages.tools.export_moments.export import export_moments

RUNTIME = Runtime(workers=1, device="cpu")
TABLES = ("videos", "expressions", "moments", "masks")


@pytest.fixture
def sound(mevis, tmp_path: Path) -> Path:
    """An index that nobody touches."""
    out = tmp_path / "sound"
    execute(STAGE, IndexConfig(), IndexInputs(mevis.write()), out, runtime=RUNTIME,
            progress=SilentProgress())  # fmt: skip
    return out


def _read_everything(index: Index) -> None:
    for expression in index.expressions:
        index.relevant(*expression.key)
        for anno_id in expression.anno_ids:
            for frame in index.masks.frames_of(anno_id):
                index.masks.mask(anno_id, frame)


@pytest.mark.parametrize("name", TABLES)
@QUICK
@given(data=st.data())
def test_readers_of_an_index(name: str, data: st.DataObject, sound: Path) -> None:
    index = sound.with_name("index")
    shutil.rmtree(index, ignore_errors=True)
    shutil.copytree(sound, index)
    path = index / f"{name}.parquet"
    if data.draw(st.integers(0, 3)):
        pq.write_table(data.draw(spoilt_table(pq.read_table(path))), path)
    else:
        path.write_bytes(data.draw(spoilt_bytes(path.read_bytes())))
    before = set(sound.parent.rglob("*"))
    moments_format = data.draw(st.sampled_from(FORMAT_NAMES))
    out = sound.parent / "out"
    attempts = [
        lambda: _read_everything(Index.open(index)),
        lambda: check(index, CheckConfig(), runtime=RUNTIME, progress=SilentProgress()),
        lambda: check(path, CheckConfig(), runtime=RUNTIME, progress=SilentProgress()),
        lambda: export_moments(index, out / "moments", moments_format, union=True, fps=25.0),
        lambda: execute(
            TEXT_STAGE, TextConfig(dim=8), TextInputs(index), out / "text", runtime=RUNTIME,
            progress=SilentProgress(),
        ),
    ]  # fmt: skip
    for attempt in attempts:
        with error_or_success():
            attempt()
    shutil.rmtree(out, ignore_errors=True)
    assert set(sound.parent.rglob("*")) == before

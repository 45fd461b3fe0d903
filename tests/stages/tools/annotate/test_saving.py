"""The artifact follows finished sentences while the server runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from index_mini import write_index

from schemas.errors import DiskFull, disk_full
from schemas.parquet import read_table
from schemas.tables import MOMENTS
from stages.core.engine.progress import SilentProgress
from stages.tools.annotate import saving
from stages.tools.annotate.config import AnnotateConfig
from stages.tools.annotate.run import AnnotateInputs, workbench
from stages.tools.annotate.saving import Saver

PATIENCE_SECONDS = 30


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "_DELAY_SECONDS", 0.02)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_moments_follow_what_is_done(tmp_path: Path) -> None:
    index = write_index(tmp_path / "index")
    config = AnnotateConfig(annotator="anna")
    table = tmp_path / "out/anna/moments.parquet"

    def rows() -> int:
        return read_table(table, MOMENTS).num_rows

    with workbench(config, AnnotateInputs(index), tmp_path / "out", SilentProgress()) as bench:
        act, first = bench.session.act, table.stat().st_ino
        act(0, {"kind": "spans", "revision": 0, "referent": 0, "spans": [[0, 2], [3, 4]]})
        time.sleep(0.1)
        assert table.stat().st_ino == first  # nothing is done yet
        act(0, {"kind": "status", "revision": 1, "value": "done"})
        wait_until(lambda: rows() == 2)
        act(0, {"kind": "spans", "revision": 2, "referent": 0, "spans": []})
        wait_until(lambda: rows() == 1)  # never
        act(0, {"kind": "undo", "revision": 3})
        wait_until(lambda: rows() == 2)
        act(0, {"kind": "flag", "revision": 4, "value": True})
        wait_until(lambda: rows() == 0)


def test_many_changes_are_written_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "_DELAY_SECONDS", 0.5)
    written: list[int] = []
    saver = Saver(lambda: written.append(1) or {}, pytest.fail)
    for _ in range(50):
        saver.changed()
    wait_until(lambda: len(written) == 1)
    time.sleep(0.7)
    assert len(written) == 1
    assert saver.close() == {}
    assert len(written) == 2


def test_a_full_disk_is_told_and_tried_again() -> None:
    warnings: list[str] = []
    room, tried = Event(), Event()

    def write() -> dict[str, int]:
        tried.set()
        if not room.is_set():
            raise disk_full("out/anna")
        return {"moments": 1}

    saver = Saver(write, warnings.append)
    saver.changed()
    wait_until(lambda: len(warnings) == 1)
    assert warnings[0] == (
        "the moments were not written (out/anna: the disk is full; free some space and run the "
        "same command again; finished work is kept); the log has them"
    )
    room.set()
    assert saver.close() == {"moments": 1}
    room.clear()
    with pytest.raises(DiskFull):
        Saver(write, warnings.append).close()

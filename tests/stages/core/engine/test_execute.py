"""execute(): skip, rerun, repair, report failures."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from toy_stage import COPY, beside, content, copy

from schemas.errors import CorruptInput
from schemas.receipts import read_receipt
from stages.core.engine.execute import Outcome, release
from stages.core.engine.progress import SilentProgress
from stages.core.engine.stage import Result


def test_happy_path(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = copy(source, out)
    assert (outcome.skipped, outcome.counts) == (False, {"worked": 3, "kept": 0})
    assert content(out) == {name: f"text {name} " for name in "abc"}
    receipt = read_receipt(out)
    assert receipt is not None
    assert (receipt.stage, receipt.complete, receipt.outputs.files) == ("copy", True, 4)
    assert beside(out) == []


def test_second_run_skips_and_touches_the_receipt(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    os.utime(out / "receipt.json", (1, 1))
    outcome = copy(source, out)
    assert (outcome.skipped, outcome.counts) == (True, {})
    assert (out / "receipt.json").stat().st_mtime > 1


def test_changed_config_reruns_and_mixes_nothing(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    outcome = copy(source, out, times=2)
    assert outcome.counts == {"worked": 3, "kept": 0}
    assert content(out)["a"] == "text a text a "


def test_changed_version_reruns(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    outcome = copy(source, out, stage=replace(COPY, version=2))
    assert outcome.counts == {"worked": 3, "kept": 0}


def test_one_new_input_works_only_that_one(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    (source / "b").write_text("newer")
    (source / "d").write_text("new")
    (source / "c").unlink()
    outcome = copy(source, out)
    assert outcome.counts == {"worked": 2, "kept": 1}
    assert content(out) == {"a": "text a ", "b": "newer", "d": "new"}


def test_force_keeps_nothing(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    assert copy(source, out, force=True).counts == {"worked": 3, "kept": 0}


def test_a_lost_output_is_repaired(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    (out / "copies" / "b").unlink()
    outcome = copy(source, out)
    assert outcome.counts == {"worked": 1, "kept": 2}
    assert content(out)["b"] == "text b "


def test_a_changed_table_is_repaired_with_a_warning(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    (out / "table.txt").write_text("2\n")
    progress = SilentProgress()
    copy(source, out, progress=progress)
    assert (out / "table.txt").read_text() == "1\n"
    assert "lost or changed" in progress.warnings[0]


def test_a_failed_input_is_reported_and_only_it_is_recomputed(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (source / "b").write_text("damaged")
    outcome = copy(source, out)
    assert outcome.failures == {"b": "b: is damaged"}
    assert set(content(out)) == {"a", "c"}
    again = copy(source, out)
    assert (again.skipped, again.failures, again.counts["kept"]) == (
        False,
        {"b": "b: is damaged"},
        2,
    )
    (source / "b").write_text("fixed")
    fixed = copy(source, out)
    assert (fixed.failures, fixed.counts) == ({}, {"worked": 1, "kept": 2})


def test_a_partial_result_leaves_a_complete_one_and_is_resumed(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    copy(source, out)
    (source / "a").write_text("newer")
    (source / "b").write_text("damaged")
    outcome = copy(source, out)
    assert not outcome.published
    assert outcome.failures == {"b": "b: is damaged"}
    assert content(out) == {name: f"text {name} " for name in "abc"}
    (source / "b").write_text("fixed")
    assert copy(source, out).counts == {"worked": 1, "kept": 2}
    assert content(out)["a"] == "newer"
    assert beside(out) == []


def test_an_artifact_that_is_held_back_is_published_later(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def held(run: Callable[..., Result] = COPY.run) -> Outcome:
        return copy(source, out, stage=replace(COPY, run=run), hold=True)

    first = held()
    assert not out.exists()
    assert content(first.path)["a"] == "text a "

    def never(*given: object, **more: object) -> Result:
        raise AssertionError("nothing was left to work")

    again = held(never)  # a kill came before the release
    release(again)
    assert content(out)["a"] == "text a "
    assert beside(out) == []
    assert held().skipped


def test_an_artifact_on_a_read_only_disk_is_up_to_date(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    copy(source, out)

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    def open_to_read(path: str, flags: int, *more: int, **named: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            read_only()
        return real_open(path, flags, *more, **named)

    real_open = os.open
    for name in ("utime", "mkdir", "rename"):
        monkeypatch.setattr(os, name, read_only)
    monkeypatch.setattr(os, "open", open_to_read)
    assert copy(source, out).skipped


def test_an_input_that_is_replaced_while_it_is_read_ends_the_run(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def run(*given: object, **more: object) -> Result:
        result = COPY.run(*given, **more)
        source.rename(tmp_path / "old")
        source.mkdir()
        (source / "a").write_text("other")
        return result

    with pytest.raises(CorruptInput, match="was replaced while it was read; run the same"):
        copy(source, out, stage=replace(COPY, run=run))
    assert not out.exists()
    assert copy(source, out).counts == {"worked": 1, "kept": 0}

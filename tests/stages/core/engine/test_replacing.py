"""Folders that execute() may replace, and those that it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from toy_stage import COPY, content, copy

from schemas.directories import locked
from schemas.errors import OutputBlocked, SystemRefused
from schemas.receipts import read_receipt


def test_a_run_reports_what_it_replaced(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert copy(source, out).replaced is None
    assert copy(source, out).replaced is None
    assert copy(source, out, times=2).replaced == "a result of other settings (times 1 -> 2)"
    (source / "a").write_text("newer")
    assert copy(source, out, times=2).replaced == "a result of other inputs (a)"


def test_a_locked_output_is_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with locked(out), pytest.raises(OutputBlocked, match="another tgl run"):
        copy(source, out)
    assert not copy(source, out).skipped


def test_an_output_whose_lock_cannot_be_made_is_named(source: Path, tmp_path: Path) -> None:
    out = tmp_path / ("x" * 250)  # the lock's name is longer than file systems allow
    with pytest.raises(SystemRefused) as caught:
        copy(source, out)
    assert caught.value.where == str(out)


def test_a_foreign_folder_is_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "home"
    out.mkdir()
    (out / "thesis.tex").write_text("precious")
    with pytest.raises(OutputBlocked, match="files that tgl did not write"):
        copy(source, out)
    assert (out / "thesis.tex").read_text() == "precious"


def test_a_file_in_place_of_the_output_is_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("precious")
    with pytest.raises(OutputBlocked, match="is a file"):
        copy(source, out)


def test_another_stages_artifact_is_replaced_by_force_alone(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    copy(source, out)
    other = replace(COPY, name="other")
    with pytest.raises(OutputBlocked, match=r"was made by tgl copy, not by tgl other; .*--force"):
        copy(source, out, stage=other)
    assert copy(source, out).skipped
    copy(source, out, stage=other, force=True)
    assert read_receipt(out).stage == "other"  # type: ignore[union-attr]


def test_an_artifact_with_a_damaged_receipt_is_replaced_by_force_alone(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    copy(source, out)
    (out / "receipt.json").write_text("{")
    with pytest.raises(OutputBlocked, match=r"has an unreadable receipt .*--force"):
        copy(source, out)
    assert (out / "receipt.json").read_text() == "{"
    assert not copy(source, out, force=True).skipped


@pytest.mark.parametrize("name", ["notes.txt", "copies/notes.txt"])
def test_files_added_to_an_artifact_are_not_removed(
    source: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    copy(source, out)
    (out / name).write_text("precious")
    with pytest.raises(OutputBlocked, match="contains files that tgl did not write"):
        copy(source, out, times=2)
    assert (out / name).read_text() == "precious"


def test_an_output_that_is_a_link_is_written_through(source: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "real")
    copy(source, tmp_path / "out")
    copy(source, tmp_path / "out", times=2)
    assert (tmp_path / "out").is_symlink()
    assert content(tmp_path / "disk" / "real")["a"] == "text a text a "

"""tgl table: runs side by side, and summaries that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from spoiling import QUICK, error_or_success, spoilt_json
from typer.testing import CliRunner

from schemas.errors import CorruptInput, MissingInput
from tglcli.commands.figures.table import table
from tglcli.main import app

GROUPS = (("0", 1.0, 2), ("1", 0.5, 5), ("2", 0.25, 3), ("4 or more", 0.75, 1), ("3", None, 0))
SUMMARY = {
    "expressions": 1011,
    "JF": 0.5,
    "J": 0.625,
    "F": 0.375,
    "by_referents": [
        {"group": group, "JF": value, "expressions": count} for group, value, count in GROUPS
    ],
}


def write(folder: Path, summary: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def test_a_row_a_run_with_the_mean_over_several_referents(tmp_path: Path) -> None:
    empty = {**SUMMARY, "by_referents": [], "JF": None}
    runs = write(tmp_path / "[red]ours", SUMMARY), write(tmp_path / "theirs", empty)
    done = CliRunner(env={"COLUMNS": "100"}).invoke(app, ["table", *map(str, runs)])
    assert done.exit_code == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    # (3 x 0.25 + 1 x 0.75) / 4: the mean over sentences, not over groups.
    assert ["[red]ours", "50.0", "62.5", "37.5", "50.0", "37.5", "100.0", "1,011"] in rows
    assert ["theirs", "-", "62.5", "37.5", "-", "-", "-", "1,011"] in rows


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    runs = write(tmp_path / "a" / "scores", SUMMARY), write(tmp_path / "b" / "scores", SUMMARY)
    done = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["table", *map(str, runs)])
    assert all(str(run) in done.stdout for run in runs)


def test_what_is_no_summary_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="no such summary; make it with tgl score --out"):
        table([tmp_path])
    with pytest.raises(CorruptInput, match=r"summary\.json: is not a summary of tgl score"):
        table([write(tmp_path / "run", {**SUMMARY, "J": "high"})])


@given(text=spoilt_json(SUMMARY))
@QUICK
def test_spoilt_summaries_end_in_one_line(tmp_path_factory, text: str) -> None:
    folder = tmp_path_factory.mktemp("scores")
    (folder / "summary.json").write_text(text, encoding="utf-8", errors="surrogatepass")
    with error_or_success():
        table([folder])

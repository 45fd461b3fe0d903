"""tgl table: runs side by side, and summaries that are none."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from spoiling import QUICK, error_or_success, spoilt_json
from typer.testing import CliRunner

from schemas.errors import ConfigError, CorruptInput, MissingInput
from schemas.parquet import rows_of, write_table
from schemas.tables import SCORES
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


def run(*words: object, width: int = 100) -> str:
    done = CliRunner(env={"COLUMNS": str(width)}).invoke(app, ["table", *map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Runs run2 and run10 in a folder, with scores that differ by 0.1 on each of four sentences."""
    folder = tmp_path / "scores"
    for name, jf in (("run10", 0.6), ("run2", 0.5)):
        write(folder / name, {**SUMMARY, "JF": jf})
        rows = [
            {
                "video_id": f"v{number % 2}",
                "expression_id": str(number),
                "frames": 3,
                "J": jf,
                "F": jf,
                "JF": jf,
                "referents": 1,
            }
            for number in range(4)
        ]
        write_table(folder / name / "scores.parquet", rows_of(rows, SCORES), SCORES)
    return folder


def test_a_folder_of_runs_is_taken_apart_in_natural_order(runs: Path) -> None:
    names = [line.split()[0] for line in run(runs).splitlines() if line.strip().startswith("run")]
    assert names == ["run", "run2", "run10"]
    assert run(runs.parent) == run(runs)
    assert run(runs, runs / "run2") == run(runs)


def test_differences_to_a_run(runs: Path) -> None:
    text = run(runs, "--against", runs / "run2")
    assert ["run10", "+10.0", "+10.0", "to", "+10.0", "4", "0"] in [
        line.split() for line in text.splitlines()
    ]
    assert f"J&Flessthatof{runs / 'run2'};+isbetter" in "".join(text.split())


def test_json_and_csv_have_all_digits(runs: Path) -> None:
    first, second = json.loads(run(runs, "--json", "--against", runs / "run2"))
    assert (first["run"], first["difference"]) == ("run2", None)
    assert second["JF_several_referents"] == 0.375
    assert second["difference"]["mean"] == pytest.approx(0.1)
    rows = list(csv.DictReader(io.StringIO(run(runs, "--csv", "--against", runs / "run2"))))
    assert [row["run"] for row in rows] == ["run2", "run10"]
    assert float(rows[1]["difference_low"]) == second["difference"]["low"]
    assert rows[0]["difference_low"] == ""
    assert "difference" not in json.loads(run(runs, "--json"))[0]


def test_markdown_and_latex_cannot_be_broken_by_a_name(tmp_path: Path) -> None:
    folder = write(tmp_path / "a|b_100%", SUMMARY)
    lines = run(folder, "--markdown").splitlines()
    assert len(lines) == 3
    assert "a\\|b_100%" in lines[2]
    assert lines[1].count("---:") == 7
    latex = run(folder, "--latex")
    assert "a|b\\_100\\% & 50.0 & 62.5" in latex
    assert "J\\&F" in latex


def test_no_number_is_cut_on_a_narrow_terminal(runs: Path) -> None:
    text = run(runs, "--against", runs / "run2", width=20)
    assert "…" not in text
    for number in ("1,011", "62.5", "+10.0 to +10.0"):
        assert number in text


def test_one_format_at_a_time(runs: Path) -> None:
    with pytest.raises(ConfigError, match="--json and --latex exclude each other"):
        run(runs, "--json", "--latex")


def test_a_run_is_not_compared_with_itself_alone(runs: Path) -> None:
    with pytest.raises(ConfigError, match="--against: is the only run"):
        run(runs / "run2", "--against", runs / "run2")

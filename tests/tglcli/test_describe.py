"""tgl describe: what it prints fits a terminal, and its files follow the rules for outputs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.errors import ConfigError, OutputBlocked
from tglcli.main import app


@pytest.fixture
def own(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small folder, to write into."""
    for name in ("index", "index2"):
        shutil.copytree(world / name, tmp_path / name)
    shutil.copy(world / "m.csv", tmp_path / "m.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str, width: int = 80) -> str:
    done = CliRunner(env={"COLUMNS": str(width)}).invoke(app, ["describe", *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0
    return done.stdout


@pytest.mark.parametrize("width", [80, 120])
def test_the_tables_fit_a_terminal(own: Path, width: int) -> None:
    Path("a-folder-with-a-long-name" * 4).mkdir()
    long = Path("a-folder-with-a-long-name" * 4, "m.csv")
    shutil.copy("m.csv", long)
    text = run("index", "--against", str(long), width=width)
    assert max(map(len, text.splitlines())) <= width
    lines = [line.split() for line in text.splitlines()]
    assert ["videos", "2"] in lines
    assert ["Cohen's", "kappa", "1.000", "1.000", "to", "1.000"] in lines
    assert "..." not in text.split("source of the moments")[0]


def test_json_alone_is_printed(own: Path) -> None:
    text = run("index", "--against", "m.csv", "--json", "-")
    document = json.loads(text)
    assert document["format"] == "tgl-description"
    assert document["agreement"]["pairs"][0]["figures"]["frame_agreement"]["value"] == 1
    run("index", "--against", "m.csv", "--json", "d.json", "--quiet")
    assert json.loads(Path("d.json").read_text()) == document


def test_files_appear_together_and_nothing_of_the_user_is_replaced(own: Path) -> None:
    outputs = ("--html", "p.html", "--table", "t.csv")
    assert run("index", "--against", "m.csv", *outputs, "--quiet") == ""
    run("index", "--against", "m.csv", *outputs, "--quiet")  # tgl's own files
    Path("p.html").write_text("mine")
    Path("t.csv").unlink()
    with pytest.raises(OutputBlocked, match=r"p\.html: exists and was"):
        run("index", "--against", "m.csv", *outputs)
    assert not Path("t.csv").exists()
    assert Path("p.html").read_text() == "mine"
    with pytest.raises(OutputBlocked, match="is an input"):
        run("index", "--against", "m.csv", "--table", "m.csv")


def test_an_index_of_other_videos_shares_nothing(own: Path) -> None:
    text = run("index", "--against", "index2", width=200)
    assert "index2: not in the index: " in text
    assert "0 sentences of 0 videos" in text
    assert "Cohen's kappa" in text


def test_mistakes_are_found_before_the_work(own: Path) -> None:
    with pytest.raises(ConfigError, match="does not end in"):
        run("nowhere", "--against", "m.csv", "--table", "t.txt")

"""tgl submit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from schemas.errors import ConfigError, CorruptInput, MissingInput
from tglcli.main import app

MANY = 60


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """Predictions of one video, and the meta file that asks for them."""
    videos = {"v": {"frames": ["0", "1"], "expressions": {"0": {"exp": "it"}}}}
    (tmp_path / "meta.json").write_text(json.dumps({"videos": videos}))
    (tmp_path / "preds" / "v" / "0").mkdir(parents=True)
    for name in ("0", "1"):
        Image.new("L", (4, 3)).save(tmp_path / "preds" / "v" / "0" / f"{name}.png")
    return ["--meta", str(tmp_path / "meta.json"), "--server", "mevis", "--workers", "1"]


def test_writes_skips_and_checks(arguments: list[str], tmp_path: Path) -> None:
    zip_path = str(tmp_path / "x.zip")
    command = ["submit", str(tmp_path / "preds"), *arguments, "-o", zip_path]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "1 video, 1 expression, 2 masks" in done.stdout
    assert "submit: up to date" in CliRunner().invoke(app, command).stdout
    checked = CliRunner().invoke(app, ["submit", zip_path, *arguments])
    assert checked.stdout == f"{zip_path}: no faults for the server of mevis\n"


def test_faults_of_a_zip_are_listed(arguments: list[str], tmp_path: Path) -> None:
    zip_path = str(tmp_path / "x.zip")
    CliRunner().invoke(app, ["submit", str(tmp_path / "preds"), *arguments, "-o", zip_path])
    done = CliRunner().invoke(app, ["submit", zip_path, *arguments, "--server", "ref-youtube-vos"])
    assert isinstance(done.exception, CorruptInput)
    assert "5 faults for the server of ref-youtube-vos" in str(done.exception)
    assert "Annotations/v/0/1.png is missing" in done.stdout


def test_many_faults_are_a_few_lines(arguments: list[str], tmp_path: Path) -> None:
    video = {"frames": [str(n) for n in range(MANY)], "expressions": {"0": {"exp": "it"}}}
    (tmp_path / "meta.json").write_text(json.dumps({"videos": {"v": video}}))
    for name in video["frames"]:
        Image.new("L", (4, 3)).save(tmp_path / "preds" / "v" / "0" / f"{name}.png")
    zip_path = str(tmp_path / "x.zip")
    CliRunner().invoke(app, ["submit", str(tmp_path / "preds"), *arguments, "-o", zip_path])
    done = CliRunner().invoke(app, ["submit", zip_path, *arguments, "--server", "ref-youtube-vos"])
    assert len(done.stdout.splitlines()) == 11
    assert done.stdout.endswith(f"... and {2 * MANY + 1 - 10} more\n")
    assert str(done.exception).endswith("check that --server and --meta are those it was made for")


def test_gaps_and_a_forgotten_output_are_one_line(arguments: list[str], tmp_path: Path) -> None:
    command = ["submit", str(tmp_path / "preds"), *arguments]
    assert isinstance(CliRunner().invoke(app, command).exception, ConfigError)
    (tmp_path / "preds" / "v" / "0" / "1.png").unlink()
    done = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "x.zip")])
    assert isinstance(done.exception, MissingInput)
    assert "1 of 2 masks are missing: v/0/1.png" in str(done.exception)

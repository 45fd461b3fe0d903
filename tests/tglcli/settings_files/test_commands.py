"""--config and --print-config of commands: what overrides what, and files that come back."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main
from command_line import run_tgl
from typer.testing import CliRunner

from tglcli.main import app

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def printed(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_printed_can_be_read_again(name: str, tmp_path: Path) -> None:
    text = printed(name, "--print-config")
    path = tmp_path / "settings.toml"
    path.write_text(text)
    assert printed(name, "--config", str(path), "--print-config") == text
    assert text.startswith(f"# Settings of tgl {name}, for --config FILE.")


def test_typed_options_override_the_file_and_the_file_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text('steps = 7\nseed = 4\nfreeze = ["decoder"]\noss = false\n')
    text = printed("train", "--config", str(path), "--seed", "5", "--oss", "--print-config")
    found = tomllib.loads(text)
    assert (found["steps"], found["seed"], found["oss"], found["freeze"]) == (
        7,
        5,
        True,
        ["decoder"],
    )
    assert found["batch"] == 4
    assert "# backbone =\n" in text


def test_a_command_runs_with_settings_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "toy.toml"
    path.write_text(
        "[toy]\nsize = 64\nframes = 16\nvalid-clips = 1\ntrain-clips = 0\ndev-clips = 0\n"
    )
    out = tmp_path / "out"
    printed("toy", str(out), "--config", str(path), "-q")
    assert len(list((out / "valid" / "videos").iterdir())) == 1
    again = printed("toy", str(out), "--config", str(out))  # from its own receipt: up to date
    assert "up to date" in again


def test_a_file_may_have_settings_of_other_commands_though_one_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "all.toml"
    path.write_text("[train]\nsteps = 7\n[score]\nimages = 3\n[skore]\n")
    done = run_tgl("score", "--config", path, "--print-config")
    assert (done.returncode, done.stderr) == (
        2,
        f"error: {path}, [skore]: no such command of tgl; did you mean score?\n",
    )
    path.write_text("[train]\nsteps = 7\n[score]\nimages = 3\n")
    done = run_tgl("score", "--config", path, "--print-config")
    assert (done.returncode, done.stderr) == (0, "")
    assert "images = 3\n" in done.stdout

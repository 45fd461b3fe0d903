"""Commands with --devices under torchrun or accelerate launch, which are for train alone."""

from __future__ import annotations

from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from schemas.errors import ConfigError
from tglcli.main import app

WORDS = ("propagate", "index", "text", "checkpoint", "masks")


def launch(monkeypatch: pytest.MonkeyPatch, rank: int) -> None:
    for name, value in (("WORLD_SIZE", 8), ("RANK", rank), ("LOCAL_RANK", rank)):
        monkeypatch.setenv(name, str(value))


def test_propagate_names_the_option_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    launch(monkeypatch, 0)
    error = CliRunner().invoke(app, WORDS).exception
    assert isinstance(error, ConfigError)
    assert str(error) == (
        "torchrun or accelerate started 8 of these processes, which only train uses; start one, "
        "with --devices all (one machine) or --scheduler (a Dask cluster)"
    )


def test_the_other_processes_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    launch(monkeypatch, 3)
    done = CliRunner().invoke(app, WORDS)
    assert done.exit_code == ConfigError.exit_code
    assert done.output == ""


def test_a_machine_that_only_sets_a_world_size_is_no_launcher(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.delenv("RANK", raising=False)
    error = CliRunner().invoke(app, WORDS).exception
    assert "no such folder" in str(error)


def test_commands_with_devices_have_a_scheduler_too() -> None:
    """One mechanism for devices and machines; train has a launcher instead."""
    group: Any = typer.main.get_command(app)
    options = {
        name: {parameter.name for parameter in command.params}
        for name, command in group.commands.items()
    }
    networks = {"assemble", "ground", "precompute-text", "propagate", "select-moments", "track"}
    assert {name for name, own in options.items() if "devices" in own} == networks
    others = {"export-masks", "extract-frames", "render", "score"}
    assert {name for name, own in options.items() if "scheduler" in own} == networks | others

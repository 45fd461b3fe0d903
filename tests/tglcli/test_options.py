"""Options made from a config dataclass."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import typer
from typer.testing import CliRunner

from schemas.errors import ConfigError
from stages.core.engine.settings import Settings, setting
from tglcli.options import RunOptions, stage_command
from tglcli.parsing import Command, name_values


@dataclass(frozen=True)
class Config(Settings):
    count: int = setting(3, "How many.", low=1, high=9)
    rate: float = setting(0.5, "How often.", low=0)
    oss: bool = setting(True, "Whether.")
    kind: str = setting("a", "Which.", choices=("a", "b"))
    parts: tuple[str, ...] = setting((), "Some.")
    hidden: str = setting("x", "Not offered.")
    short: int = setting(1, "Shortest.", flag="min-length", former=("drop-specks",))
    gate: bool = setting(True, "Gate.", former=("check",))


def invoke(*arguments: str) -> tuple[int, list[tuple[Config, RunOptions]], str]:
    taken: list[tuple[Config, RunOptions]] = []
    app = typer.Typer()

    @app.command(cls=Command)
    @name_values
    @stage_command(Config, runtime=("workers", "device"), own=("hidden",))
    def work(name: str, config: Config, run: RunOptions) -> None:
        """Work."""
        taken.append((config, run))

    done = CliRunner().invoke(app, ["name", *arguments])
    if isinstance(done.exception, ConfigError):
        raise done.exception
    return done.exit_code, taken, done.output


def test_defaults_are_those_of_the_dataclass() -> None:
    _, [(config, run)], _ = invoke()
    assert config == Config()
    assert (run.force, run.quiet, run.runtime.device) == (False, False, "auto")
    assert run.runtime.workers >= 1


def test_every_kind_of_value() -> None:
    arguments = "--count 4 --rate 0.25 --no-oss --kind b --parts u --parts v --workers 7 --force"
    _, [(config, run)], _ = invoke(*arguments.split())
    assert config == Config(4, 0.25, False, "b", ("u", "v"))
    assert (run.runtime.workers, run.force) == (7, True)


def test_limits_are_those_of_the_setting() -> None:
    with pytest.raises(ConfigError, match=r"--count: 10 is outside \[1, 9\]"):
        invoke("--count", "10")


@pytest.mark.parametrize("arguments", [("--kind", "c"), ("--hidden", "y"), ("--count", "x")])
def test_what_is_not_offered_is_a_usage_error(arguments: tuple[str, str]) -> None:
    assert invoke(*arguments)[0] == 2


@pytest.mark.parametrize(
    ("typed", "present", "value"),
    [
        (["--drop-specks", "3"], "--min-length", (3, True)),
        (["--drop-specks=3"], "--min-length", (3, True)),
        (["--no-check"], "--no-gate", (1, False)),
        (["--drop-specks", "3", "--min-length", "4"], "--min-length", (4, True)),
    ],
)
def test_a_former_name_works_with_a_warning(
    typed: list[str], present: str, value: tuple[int, bool]
) -> None:
    _, [(config, _)], output = invoke(*typed)
    assert (config.short, config.gate) == value
    former = typed[0].partition("=")[0]
    assert output == f"warning: {former} is now called {present}\n"


def test_a_former_name_is_not_shown_and_not_taken_for_an_argument() -> None:
    assert "drop-specks" not in invoke("--help")[2]
    code, taken, output = invoke("--", "--drop-specks")
    assert (code, taken) == (2, [])
    assert "is now called" not in output


def test_help_shows_default_and_text() -> None:
    _, _, output = invoke("--help")
    assert "How many." in output
    assert "[default: 3]" in output
    assert "--kind a|b" in output
    assert "--[no-]oss" in output

"""Help pages: what they show, how they fit a terminal, and their examples."""

from __future__ import annotations

import inspect
import re
import shlex
from typing import Any, get_type_hints

import pytest
import typer.main
from typer.testing import CliRunner

from schemas.errors import ConfigError
from stages.core.engine.settings import Settings, settings_of
from tglcli.help import split_help
from tglcli.main import app

GROUP: Any = typer.main.get_command(app)
COMMANDS: dict[str, Any] = GROUP.commands
LAUNCHER = "torchrun --nproc_per_node 8 -m tglcli "


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def page(name: str, width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """The help of a command, or of tgl itself, on a terminal of some width."""
    monkeypatch.setenv("COLUMNS", str(width))
    words = [name, "--help"] if name else ["--help"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_every_line_fits_and_no_name_is_cut(
    name: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = page(name, width, monkeypatch)
    assert max(map(len, text.splitlines())) <= width
    for option in (COMMANDS[name] if name else GROUP).params:
        if option.param_type_name == "option" and option.name != "help":
            shown = option.opts[-1].replace("--", "--[no-]" if option.secondary_opts else "--", 1)
            assert re.search(rf"^  (-\w, )?{re.escape(shown)}\b", text, re.MULTILINE)


def test_most_options_take_at_most_two_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    for name in COMMANDS:
        options = page(name, 80, monkeypatch).partition("Examples:")[0]
        entries = re.split(r"^  (?=-)", options, flags=re.MULTILINE)[1:]
        lengths += [len(re.split(r"\n\n|\n(?=\S)", entry)[0].splitlines()) for entry in entries]
    assert len(lengths) > 150
    assert max(lengths) <= 5
    assert sum(length <= 2 for length in lengths) / len(lengths) > 0.75


def test_options_stand_in_panels_in_the_order_of_the_config(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    headings = re.findall(r"^(\S.*):$", page("train", 80, monkeypatch), re.MULTILINE)
    assert headings == [
        *("Arguments", "Options", "Method", "Schedule", "Clips", "Optimiser", "Several indexes"),
        *("Validation", "Cache and logging", "Memory and masks", "Adapter", "Loss"),
        *("Runtime (does not change the result)", "Examples"),
    ]
    text = page("train", 80, monkeypatch)
    assert re.search(r"Validation:\n  --valid PATH .*\n  --valid-text PATH", text)


@pytest.mark.parametrize("name", ["", "score"])
def test_help_is_also_a_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = page(name, 80, monkeypatch)
    done = CliRunner().invoke(app, ["help", *filter(None, [name])])
    assert (done.exit_code, done.output) == (0, text)


def test_colours_are_left_out_if_unwanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    context = COMMANDS["toy"].make_context("toy", [], resilient_parsing=True)
    assert "\x1b[" not in context.get_help()
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b[36m--seed N" in context.get_help()
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b[" not in context.get_help()


def examples() -> list[str]:
    return [line for command in COMMANDS.values() for line in split_help(command)[1]]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_examples(name: str) -> None:
    lines = split_help(COMMANDS[name])[1]
    assert len(lines) in (2, 3)
    assert all(line.removeprefix(LAUNCHER).startswith((f"tgl {name}", name)) for line in lines)


@pytest.mark.parametrize("line", [*examples(), *split_help(GROUP)[1]])
def test_an_example_can_be_typed(line: str) -> None:
    name, *words = shlex.split(line.removeprefix(LAUNCHER).removeprefix("tgl "))
    if name == "help":
        (name,), words = words, []
        assert name in COMMANDS
        return
    command = COMMANDS[name]
    values = command.make_context(f"tgl {name}", words).params
    kind = get_type_hints(inspect.unwrap(command.callback)).get("config")
    if kind is not None:
        check(kind, values)


def check(kind: type[Settings], values: dict[str, Any]) -> None:
    """Raise ConfigError if the settings of a command line are wrong."""
    names = settings_of(kind).keys() & values.keys() - {"moments"}
    given = {name: values[name] for name in names if values[name] is not None}
    kind(**{n: tuple(v) if isinstance(v, list) else v for n, v in given.items()})


def test_a_wrong_example_is_found() -> None:
    for line in ("tgl toy out --size 65", "tgl extract-frames a b --stride 0"):
        with pytest.raises(ConfigError):
            test_an_example_can_be_typed(line)

"""Writes docs/commands.md from the commands themselves: `python -m tglcli.reference > FILE`."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import typer.main

from tglcli.main import app

_HEADER = """\
# Commands

Written by `make docs` from the commands' own help; a test fails where the two differ.
"""


def reference() -> str:
    """The whole page as Markdown, a section a command."""
    group = typer.main.get_command(app)
    sections = [_section(name, command) for name, command in group.commands.items()]  # type: ignore[attr-defined]
    return "\n".join([_HEADER, *sections])


def _section(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    usage = " ".join(_argument(p) for p in arguments)
    lines = [f"## tgl {name}", "", f"`tgl {name} {usage}`", "", inspect.cleandoc(command.help), ""]
    if arguments:
        lines += [f"- `{_argument(p)}`: {p.help}" for p in arguments] + [""]
    lines += ["| option | default | meaning |", "|---|---|---|"]
    lines += [f"| `{_names(p)}` | {_default(p)} | {_cell(p.help)} |" for p in options]
    return "\n".join([*lines, ""])


def _argument(parameter: Any) -> str:
    name = parameter.name.upper()
    return f"{name}..." if parameter.nargs == -1 else name


def _names(parameter: Any) -> str:
    return ", ".join([*parameter.opts, *parameter.secondary_opts])


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    value = parameter.default
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None or value in ((), []):
        return ""
    if value == "":
        return "empty"
    return f"{value}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())

"""Writes docs/commands.md from the commands themselves: `python -m tglcli.reference > FILE`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer.main

from tglcli.help import default_text, options_by_panel, split_help
from tglcli.main import app
from tglcli.usage import argument_name, arguments_of, usage

_HEADER = """\
# Commands

Written by `make docs` from the commands' own help; a test fails where the two differ.
"""


def reference() -> str:
    """Return the whole page as Markdown, one section per command."""
    group = typer.main.get_command(app)
    sections = [_section(name, command) for name, command in group.commands.items()]  # type: ignore[attr-defined]
    return "\n".join([_HEADER, *sections])


def _section(name: str, command: Any) -> str:
    context = command.make_context(f"tgl {name}", [], resilient_parsing=True)
    description, examples = split_help(command)
    lines = [f"## tgl {name}", "", f"`{usage(context)}`", "", description, ""]
    lines += [f"- `{argument_name(a)}`: {a.help}" for a in arguments_of(command)]
    lines += ["", "```sh", *examples, "```", ""]
    for panel, options in options_by_panel(command).items():
        lines += [f"**{panel}**", "", *_table(options), ""]
    return "\n".join(lines)


def _table(options: list[Any]) -> Iterator[str]:
    yield from ("| option | default | meaning |", "|---|---|---|")
    for option in options:
        names = ", ".join([*option.opts, *option.secondary_opts])
        value = "" if option.is_flag else f" {option.metavar}"
        default = "required" if option.required else default_text(option)
        cells = (f"`{names}{value}`", default, option.help)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    sys.stdout.write(reference())

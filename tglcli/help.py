"""Help pages: plain text that fits a terminal of 80 columns and cuts no name."""

from __future__ import annotations

import inspect
import os
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import typer

from stages.core.engine.settings import Settings
from tglcli.usage import argument_name, arguments_of, usage

_EXAMPLES = "Examples:\n"
_NARROWEST, _WIDEST = 40, 100
"""Columns of a page, however narrow or wide the terminal."""
_LONGEST_NAME = 24
"""Names up to this length stand beside their text, longer ones above it."""
_INDENT, _GAP = 2, 2
_UNBROKEN = "\xa0"
"""A space at which no line ends."""


@dataclass
class Section:
    """A heading and its rows, each a name and a text."""

    heading: str
    rows: list[tuple[str, str]] = field(default_factory=list)


def styled(text: str, **style: Any) -> str:
    """Add colours to text, unless the user wants none; echo removes them for a pipe."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else typer.style(text, **style)


def command_page(command: Any, context: Any) -> str:
    """Write the help of a command."""
    more = " [OPTIONS]" if len(command.params) > len(arguments_of(command)) else ""
    return _page(command, f"Usage: {usage(context)}{more}", sections(command))


def group_page(group: Any, context: Any) -> str:
    """Write the list of commands under their headings, then the group's options."""
    found: dict[str, Section] = {}
    for name, command in group.commands.items():
        summary = split_help(command)[0].partition("\n")[0]
        heading = str(command.rich_help_panel)
        found.setdefault(heading, Section(heading)).rows.append((name, summary))
    return _page(
        group, f"Usage: {context.command_path} COMMAND ...", [*found.values(), *sections(group)]
    )


def _page(command: Any, usage_line: str, found: Sequence[Section]) -> str:
    description, examples = split_help(command)
    parts = [usage_line, *_paragraphs(description), *_blocks(found)]
    if examples:
        lines = (f"{' ' * _INDENT}{example}" for example in examples)
        parts.append("\n".join([_heading("Examples"), *lines]))
    return "\n\n".join(parts)


def split_help(command: Any) -> tuple[str, list[str]]:
    """Split a command's docstring into its description and the lines of its examples."""
    description, _, examples = inspect.cleandoc(command.help).partition(_EXAMPLES)
    return description.strip(), [line.strip() for line in examples.splitlines() if line.strip()]


def sections(command: Any) -> list[Section]:
    """List a command's arguments, then its options by panel."""
    arguments = [(argument_name(a), str(a.help)) for a in arguments_of(command)]
    found = [Section("Arguments", arguments)] if arguments else []
    for heading, options in options_by_panel(command).items():
        rows = [(option_names(option), f"{option.help}{_note(option)}") for option in options]
        found.append(Section(heading, rows))
    return found


def options_by_panel(command: Any) -> dict[str, list[Any]]:
    """Group the options that a command shows by the headings of their panels."""
    found: dict[str, list[Any]] = {}
    for option in command.params:
        if option.param_type_name == "option" and not option.hidden:
            found.setdefault(option.rich_help_panel or Settings.panel, []).append(option)
    return found


def option_names(option: Any) -> str:
    """Show an option as help does: `-o, --out PATH`, `--[no-]compile`."""
    names = sorted(option.opts, key=len)
    if option.secondary_opts:
        names[-1] = f"--[no-]{names[-1][2:]}"
    value = "" if option.is_flag else f" {option.metavar}"
    return f"{', '.join(names)}{value}"


def default_text(option: Any) -> str:
    """Put the default of an option in words; empty if it has none."""
    if isinstance(option.show_default, str):
        return option.show_default
    value = option.default
    if isinstance(value, bool):
        return ("on" if value else "off") if option.secondary_opts else ""
    if value is None or value in ((), [], ""):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _note(option: Any) -> str:
    default = default_text(option)
    note = "[required]" if option.required else f"[default: {default}]" if default else ""
    return f" {note.replace(' ', _UNBROKEN)}" if note else ""


def _width() -> int:
    return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size().columns))


def _paragraphs(text: str) -> list[str]:
    return [_filled(" ".join(part.split()), 0) for part in text.split("\n\n")]


def _filled(text: str, indent: int) -> str:
    """Wrap text to the page, never within a word, nor within a default that fits a line."""
    if max(map(len, text.split(" "))) + indent > _width():
        text = text.replace(_UNBROKEN, " ")
    space = " " * indent
    return textwrap.fill(
        text,
        _width(),
        initial_indent=space,
        subsequent_indent=space,
        break_long_words=False,
        break_on_hyphens=False,
    ).replace(_UNBROKEN, " ")


def _blocks(found: Sequence[Section]) -> Iterator[str]:
    """Format sections; the texts of all of them begin in the same column."""
    lengths = [len(name) for section in found for name, _ in section.rows]
    column = _INDENT + _GAP + max((n for n in lengths if n <= _LONGEST_NAME), default=0)
    for section in found:
        lines = [_heading(section.heading)]
        lines += [_row(name, text, column) for name, text in section.rows]
        yield "\n".join(lines)


def _row(name: str, text: str, column: int) -> str:
    space = " " * _INDENT
    shown = styled(name, fg="cyan")
    body = _filled(text, column)
    if len(name) + _INDENT + _GAP > column:
        return f"{space}{shown}\n{body}"
    return f"{space}{shown}{body[_INDENT + len(name) :]}"


def _heading(text: str) -> str:
    return styled(f"{text}:", bold=True)

"""Help pages that fit a terminal of 80 columns: no name is cut, no column is empty."""

from __future__ import annotations

import inspect
import os
import shutil
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import OptionInfo

from stages.core.engine.settings import Settings
from tglcli.usage import argument_name, arguments_of, usage

_EXAMPLES = "Examples:\n"
_NARROWEST, _WIDEST = 40, 100
"""Columns of a page, however narrow or wide the terminal."""
_LONGEST_NAME = 24
"""Names up to this length stand beside their text, longer ones above it."""
_LONGEST_CHOICES = 40
_INDENT, _GAP = 2, 2
_UNBROKEN = "\xa0"
"""A space at which no line ends."""
_VALUES = {int: "N", float: "FLOAT", str: "TEXT", Path: "PATH"}


@dataclass
class Section:
    """A heading and its rows, each a name and a text."""

    heading: str
    rows: list[tuple[str, str]] = field(default_factory=list)


class Command(TyperCommand):
    """A command whose help is a plain page, and which takes the former names of its options."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page."""
        description, examples = split_help(self)
        more = " [OPTIONS]" if len(self.params) > len(arguments_of(self)) else ""
        parts = [f"Usage: {usage(ctx)}{more}", *_paragraphs(description)]
        formatter.write(_page([*parts, *_blocks(sections(self)), *_example_block(examples)]))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse words in which a former name of an option is as good as its present one."""
        former: dict[str, str] = getattr(self.callback, "former", {})
        present = []
        for place, word in enumerate(args):
            if word == "--":
                present += args[place:]
                break
            option, equals, value = word.partition("=")
            if option in former:
                typer.echo(f"warning: {option} is now called {former[option]}", err=True)
            present.append(f"{former.get(option, option)}{equals}{value}")
        return list(super().parse_args(ctx, present))


class Group(TyperGroup):
    """The commands: their list is a plain page, and `help CMD` is the same as `CMD --help`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands."""
        found: dict[str, Section] = {}
        for name, command in self.commands.items():
            heading = str(command.rich_help_panel)  # type: ignore[attr-defined]
            summary = split_help(command)[0].partition("\n")[0]
            found.setdefault(heading, Section(heading)).rows.append((name, summary))
        description, examples = split_help(self)
        parts = [f"Usage: {ctx.command_path} COMMAND ...", *_paragraphs(description)]
        blocks = _blocks([*found.values(), *sections(self)])
        formatter.write(_page([*parts, *blocks, *_example_block(examples)]))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse words; `help` may come first."""
        return list(
            super().parse_args(ctx, [*args[1:], "--help"] if args[:1] == ["help"] else args)
        )


def styled(text: str, **style: Any) -> str:
    """Text with colours, unless the user wants none; those of a pipe are removed by echo."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else typer.style(text, **style)


def name_values(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give each option of a command a word for its value: N, FLOAT, PATH, fp32|bf16.

    Choices that do not fit a line go into the text.
    """
    function.__annotations__ = get_type_hints(function, include_extras=True)
    for hint in function.__annotations__.values():
        if get_origin(hint) is Annotated:
            kind, info = get_args(hint)[:2]
            if isinstance(info, OptionInfo) and info.metavar is None:
                info.metavar = _value_word(kind) or "VALUE"
                if len(info.metavar) > _LONGEST_CHOICES:
                    info.help = f"{info.help} One of {info.metavar.replace('|', ', ')}."
                    info.metavar = "NAME"
    return function


def _value_word(kind: Any) -> str | None:
    if get_origin(kind) is Literal:
        return "|".join(get_args(kind))
    inner = [part for part in get_args(kind) if part is not type(None)]
    return _value_word(inner[0]) if inner else _VALUES.get(kind)


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


def _page(parts: Sequence[str]) -> str:
    return "\n\n".join(parts) + "\n"


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
    """Sections as text; the texts of all of them begin in the same column."""
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


def _example_block(examples: Sequence[str]) -> list[str]:
    lines = (f"{' ' * _INDENT}{example}" for example in examples)
    return ["\n".join([_heading("Examples"), *lines])] if examples else []


def _heading(text: str) -> str:
    return styled(f"{text}:", bold=True)

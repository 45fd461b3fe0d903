"""Commands of click that print plain help and take former names of options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import OptionInfo

from tglcli.help import command_page, group_page

_LONGEST_CHOICES = 40
_VALUES = {int: "N", float: "FLOAT", str: "TEXT", Path: "PATH"}


class Command(TyperCommand):
    """A command with a plain help page that still takes the former names of its options."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        formatter.write(command_page(self, ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse words, and warn of each option that is given by a former name."""
        present = present_names(self, args)
        for old, new in zip(args, present, strict=True):
            if old != new:
                names = (word.partition("=")[0] for word in (old, new))
                typer.echo("warning: {} is now called {}".format(*names), err=True)
        return list(super().parse_args(ctx, present))


class Group(TyperGroup):
    """A group of commands with a plain list of them, and `help CMD` for `CMD --help`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands."""
        formatter.write(group_page(self, ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse words, of which the first may be `help`."""
        asks_help = args[:1] == ["help"]
        return list(super().parse_args(ctx, [*args[1:], "--help"] if asks_help else args))


def present_names(command: Any, words: Sequence[str]) -> list[str]:
    """Replace former names of options by the present ones."""
    former: dict[str, str] = getattr(command.callback, "former", {})
    end = words.index("--") if "--" in words else len(words)
    present = []
    for word in words[:end]:
        option, equals, value = word.partition("=")
        present.append(f"{former.get(option, option)}{equals}{value}")
    return [*present, *words[end:]]


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

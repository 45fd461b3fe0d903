"""Commands of click with plain help, former names of options, and settings from a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import OptionInfo

from schemas.errors import ConfigError
from tglcli.help import command_page, group_page
from tglcli.settings_files.options import PRINT_CONFIG, SETTINGS_FILE

_LONGEST_CHOICES = 40
_FROM_FILE = "tgl.settings_file"
"""Key in click's context of the settings file and the options that it sets."""
_VALUES = {int: "N", float: "FLOAT", str: "TEXT", Path: "PATH"}


class Command(TyperCommand):
    """A command with a plain help page, options for a settings file, and former option names."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        formatter.write(command_page(self, ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse words, and warn of each option that is given by a former name.

        Values of a settings file become the defaults. With --print-config they are printed as they
        are in effect, and nothing is run.
        """
        present = present_names(self, args)
        for old, new in zip(args, present, strict=True):
            if old != new:
                names = (word.partition("=")[0] for word in (old, new))
                typer.echo("warning: {} is now called {}".format(*names), err=True)
        typed, _, _ = self.make_parser(ctx).parse_args(list(present))
        if "help" in typed or ctx.resilient_parsing:
            return list(super().parse_args(ctx, present))
        if SETTINGS_FILE in typed:
            self._read_settings(ctx, typed)
        if typed.get(PRINT_CONFIG):
            self._print_settings(ctx, typed)
            raise typer.Exit
        return list(super().parse_args(ctx, present))

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error of a value from the settings file names the file."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            file, keys = ctx.meta.get(_FROM_FILE, (None, {}))
            if error.where in keys:
                error.relocate(f"{file}, {keys[error.where]}")
            raise

    def _read_settings(self, ctx: Any, typed: dict[str, Any]) -> None:
        from tglcli.settings_files.reading import key_of, read_settings

        path = Path(typed[SETTINGS_FILE])
        group = ctx.parent.command if ctx.parent else None
        names = [] if group is None else group.names or list(group.commands)
        ctx.default_map = read_settings(path, self, names, typed)
        options = [o for o in self.params if o.name in ctx.default_map and o.name not in typed]
        ctx.meta[_FROM_FILE] = path, {f"--{key_of(o)}": key_of(o) for o in options}

    def _print_settings(self, ctx: Any, typed: dict[str, Any]) -> None:
        from tglcli.settings_files.writing import settings_text

        values = {}
        for option in self.params:
            if option.param_type_name == "option":
                value, _ = option.consume_value(ctx, typed)
                values[option.name] = None if value is None else option.process_value(ctx, value)
        typer.echo(settings_text(self, values), nl=False)


class Group(TyperGroup):
    """A group of commands with a plain list of them, and `help CMD` for `CMD --help`.

    Attributes:
        names: of all commands, also where only one of them was imported.
    """

    names: tuple[str, ...] = ()

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

"""Usage errors of click as one line, with the names of options and arguments as typed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import typer

from schemas.errors import ConfigError
from schemas.wording import suggestion

# Typer carries a click of its own in some versions: the class is found where it is public.
UsageError: Any = typer.BadParameter.__mro__[1]

_END_OF_OPTIONS = "--"
_QUOTED = re.compile(r"'([^']*)'")
_NUMBERS = {"integer": "a whole number", "valid number": "a number", "float": "a number"}
"""The kind of number that is needed, by a word of click's or pydantic's message."""


def usage_error(error: Any, words: Sequence[str]) -> ConfigError:
    """Convert a usage error of click.

    Args:
        words: the words typed after the command's name.
    """
    parameter = getattr(error, "param", None)
    if type(error).__name__ == "MissingParameter" and parameter is not None:
        return _missing(error, words)
    if type(error).__name__ == "NoSuchOption":
        name = error.option_name.strip()  # of "- the dog": click takes a blank into it
        options = [o for p in error.ctx.command.params for o in (*p.opts, *p.secondary_opts)]
        hint = suggestion(name, options)
        if any(word.startswith(name) and " " in word for word in words):
            hint = f"a sentence that begins with a dash goes last, after {_END_OF_OPTIONS}"
        return ConfigError(
            f"no such option of {error.ctx.command_path}",
            where=name,
            hint=hint or f"see {error.ctx.command_path} --help",
        )
    if parameter is not None:
        return _bad_value(error, words)
    message = str(error.format_message()).rstrip(".")
    if "No such command" in message:
        command, *others = _QUOTED.findall(message)
        hint = f"did you mean {' or '.join(others)}?" if others else "see tgl --help"
        return ConfigError("no such command of tgl", where=command, hint=hint)
    if "extra argument" in message:
        extra = message.partition("(")[2].partition("(")[2] or message.partition("(")[2]
        return ConfigError(
            f"{extra.rstrip(')')!r} is more than {usage(error.ctx)} takes",
            hint="put quotes around sentences and names with spaces",
        )
    option = getattr(error, "option_name", None)
    if option is not None:
        reason = "a value is missing" if "requires" in message else "takes no value"
        return ConfigError(reason, where=option)
    return ConfigError(message)


def usage(context: Any) -> str:
    """Format a command with all that it requires: `tgl train INDEX TEXT OUT`."""
    command = context.command
    options = [p for p in command.params if p.param_type_name == "option" and p.required]
    needed = [f"{_name(option)} {option.metavar}" for option in options]
    return " ".join([context.command_path, *map(argument_name, arguments_of(command)), *needed])


def arguments_of(command: Any) -> list[Any]:
    """List the arguments of a command, in order."""
    return [p for p in command.params if p.param_type_name == "argument"]


def argument_name(argument: Any) -> str:
    """Format an argument as in usage lines: `OUT`, `VIDEO...`."""
    return f"{_name(argument)}..." if argument.nargs == -1 else _name(argument)


def _missing(error: Any, words: Sequence[str]) -> ConfigError:
    """Name the arguments or the option that are missing."""
    context = error.ctx
    if error.param.param_type_name != "argument":
        hint = f"see {context.command_path} --help"
        if _END_OF_OPTIONS in words:
            behind = words[words.index(_END_OF_OPTIONS) :]
            if any(word.partition("=")[0] in error.param.opts for word in behind):
                hint = f"options come before {_END_OF_OPTIONS}"
        return ConfigError(f"{_name(error.param)} is missing", hint=hint)
    arguments = arguments_of(context.command)
    given = _given(context, words)
    missing = [_name(argument) for argument in arguments[given:]]
    verb = "is" if len(missing) == 1 else "are"
    return ConfigError(f"{' and '.join(missing)} {verb} missing", hint=f"usage: {usage(context)}")


def _bad_value(error: Any, words: Sequence[str]) -> ConfigError:
    """Name the option with a wrong value, and the values that it takes."""
    name = _name(error.param)
    value = _value(error.param, words)
    quoted = _QUOTED.findall(error.message)
    if "is not one of" in error.message and quoted:
        value, *choices = quoted
        hint = suggestion(value, choices)
        return ConfigError(f"{value!r} is not one of {', '.join(choices)}", where=name, hint=hint)
    needed = next((kind for sign, kind in _NUMBERS.items() if sign in error.message), None)
    if needed is not None:
        return ConfigError(f"{needed} is needed, found {value!r}", where=name)
    reason = error.message.rstrip(".").removeprefix("Input ")
    return ConfigError(f"{value!r} {reason}", where=name)


def _value(parameter: Any, words: Sequence[str]) -> str:
    """Find the value typed for an option; empty if it cannot be found."""
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in parameter.opts:
            return value if equals else " ".join(words[place + 1 : place + 2])
    return ""


def _given(context: Any, words: Sequence[str]) -> int:
    """Count the arguments given, at most all but one, since one is missing."""
    values, _, _ = context.command.make_parser(context).parse_args(list(words))
    given = 0
    for argument in arguments_of(context.command):
        value = values.get(argument.name)
        if isinstance(value, tuple | list):
            given += len(value)
        elif isinstance(value, str):
            given += 1
    return min(given, len(arguments_of(context.command)) - 1)


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    return str(max(parameter.opts, key=len))

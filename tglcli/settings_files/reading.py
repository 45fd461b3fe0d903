"""Reading settings from a TOML file, or from the receipt of an artifact."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from schemas.errors import ConfigError, CorruptInput
from schemas.files import read_regular
from schemas.layouts import RECEIPT_FILE
from schemas.receipts import read_receipt
from schemas.wording import suggestion
from tglcli.settings_files.options import PRINT_CONFIG, SETTINGS_FILE

NOT_IN_FILES = frozenset((SETTINGS_FILE, PRINT_CONFIG, "force", "quiet", "help"))
"""Options that say how a single run is to go; a file cannot hold them."""
_A_FILE = "file"
"""Value in a receipt of a setting that a file took the place of."""
_TYPES: dict[Any, tuple[Any, str]] = {
    bool: (bool, "true or false"),
    int: (int, "a whole number"),
    float: (int | float, "a number"),
}
"""Types of TOML values by that of the parameter, and what to call them; text for any other."""
_TOML = "write `name = value` lines, as tgl {} --print-config does"


def read_settings(
    path: Path, command: Any, commands: Collection[str], typed: Collection[str] = ()
) -> dict[str, Any]:
    """Read the settings of one command.

    Args:
        path: a TOML file: options without their dashes at its top level, or in a table with the
            command's name beside tables of other commands; or a receipt, or an artifact's folder.
        command: the command of click that takes them.
        commands: the names of all commands.
        typed: the names of the parameters that the user typed.

    Returns:
        Values by the names of the command's parameters, as click's `default_map` takes them.

    Raises:
        MissingInput: no such file.
        CorruptInput: not TOML, or not a receipt.
        ConfigError: a receipt of another stage, an unknown key, or a value of another type.
    """
    if path.name == RECEIPT_FILE or path.is_dir():
        values = _from_receipt(path, command, typed)
    else:
        values = _from_toml(path, command, commands)
    options, found = _options(command), {}
    kinds = get_type_hints(command.callback, include_extras=True)
    for key, value in values.items():
        option = options.get(key.replace("-", "_"))
        if option is None:
            raise _unknown(key, path, command, options)
        _check_type(kinds[option.name], value, f"{path}, {key}")
        found[option.name] = value
    return found


def key_of(option: Any) -> str:
    """The key of an option in a file: its longest name without dashes, `clip-frames`."""
    return str(max(option.opts, key=len)).removeprefix("--")


def _options(command: Any) -> dict[str, Any]:
    """The options that a file can set, by every name that a key may have."""
    found = {}
    for option in command.params:
        if option.param_type_name == "option" and option.name not in NOT_IN_FILES:
            found[option.name] = found[key_of(option).replace("-", "_")] = option
    for old, new in getattr(command.callback, "former", {}).items():
        present = found.get(new.removeprefix("--").replace("-", "_"))
        if present is not None:  # not the negative form of a switch
            found[old.removeprefix("--").replace("-", "_")] = present
    return found


def _from_toml(path: Path, command: Any, commands: Collection[str]) -> dict[str, Any]:
    text = read_regular(path, missing="no such settings file")
    try:
        document = tomllib.loads(text.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        reason = f"is not TOML ({error})"
        raise CorruptInput(reason, where=path, hint=_TOML.format(command.name)) from error
    values = {}
    for key, value in document.items():
        if not isinstance(value, Mapping):
            values[key] = value
        elif key not in commands:
            hint = suggestion(key, commands) or "see tgl --help"
            raise ConfigError("no such command of tgl", where=f"{path}, [{key}]", hint=hint)
    own = document.get(command.name, {})
    twice = sorted({_plain(key) for key in values} & {_plain(key) for key in own})
    if twice:
        raise ConfigError(
            f"is given at the top and in [{command.name}]", where=f"{path}, {twice[0]}"
        )
    return {**values, **own}


def _plain(key: str) -> str:
    return key.replace("-", "_")


def _from_receipt(path: Path, command: Any, typed: Collection[str]) -> dict[str, Any]:
    """The recorded settings, by the names of parameters; what was not set is left out."""
    folder = path if path.is_dir() else path.parent
    receipt = read_receipt(folder)
    if receipt is None:
        raise ConfigError(
            f"has no {RECEIPT_FILE}", where=folder, hint="name a TOML file, or an artifact of tgl"
        )
    if receipt.stage != command.name:
        raise ConfigError(
            f"was made by tgl {receipt.stage}, so its settings are not those of tgl {command.name}",
            where=folder,
        )
    elsewhere: dict[str, str] = getattr(command.callback, "recorded", {})
    found: dict[str, Any] = {}
    for name, value in receipt.config.items():
        option = elsewhere.get(name, name)
        if value == _A_FILE and name in getattr(command.callback, "own", ()):
            if option not in typed:
                raise ConfigError(
                    f"does not record which file --{name.replace('_', '-')} was",
                    where=folder / RECEIPT_FILE,
                    hint=f"type {_typed_name(command, option)} too",
                )
        elif isinstance(value, list) and name in elsewhere:
            if value:
                found[option] = ",".join(f"{part:g}" for part in value)
        elif value is not None:
            found[name] = value
    return found


def _typed_name(command: Any, name: str) -> str:
    option = next(option for option in command.params if option.name == name)
    return f"--{key_of(option)} {option.metavar}"


def _unknown(key: str, path: Path, command: Any, options: Mapping[str, Any]) -> ConfigError:
    where = f"{path}, {key}"
    name = _plain(key)
    if name in (*NOT_IN_FILES, "config"):
        return ConfigError("cannot be set in a file", where=where, hint=f"type --{name}")
    if any(p.name == name and p.param_type_name == "argument" for p in command.params):
        return ConfigError("is an argument, not an option", where=where, hint="type it")
    known = {key_of(option) for option in options.values()}
    if len(name) == 1 or name in known:
        known = set()
    hint = suggestion(name.replace("_", "-"), known) or f"see tgl {command.name} --help"
    return ConfigError(f"no such option of tgl {command.name}", where=where, hint=hint)


def _check_type(kind: Any, value: object, where: str) -> None:
    """Raise ConfigError if a value is not of an option's type: the parser would convert it.

    Args:
        kind: the annotation of the option's parameter.
    """
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if type(None) in get_args(kind):
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is not list:
        _check_item(kind, value, where)
        return
    if not isinstance(value, list):
        raise ConfigError(f"a list is needed, found {_shown(value)}", where=where)
    for item in value:
        _check_item(get_args(kind)[0], item, where)


def _check_item(kind: Any, value: object, where: str) -> None:
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    wanted, needed = _TYPES.get(kind, (str, "text in quotes"))
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{needed} is needed, found {_shown(value)}", where=where)
    if choices and value not in choices:
        raise ConfigError(
            f"{value!r} is not one of {', '.join(choices)}",
            where=where,
            hint=suggestion(str(value), choices),
        )


def _shown(value: object) -> str:
    """A value as TOML writes it."""
    return json.dumps(value, default=str)

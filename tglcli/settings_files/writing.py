"""Writing the effective settings of a command as TOML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tglcli.help import options_by_panel
from tglcli.settings_files.reading import NOT_IN_FILES, key_of


def settings_text(command: Any, values: Mapping[str, Any]) -> str:
    """Format settings as a file for --config: by panel, options without a value as comments.

    Args:
        command: the command of click.
        values: by the names of its parameters, None for an option without a value.
    """
    return "\n".join(_lines(command, values)) + "\n"


def _lines(command: Any, values: Mapping[str, Any]) -> Iterator[str]:
    import tomli_w

    yield f"# Settings of tgl {command.name}, for --config FILE. What is typed overrides the file."
    for panel, options in options_by_panel(command).items():
        shown = [option for option in options if option.name not in NOT_IN_FILES]
        if shown:
            yield from ("", f"# {panel}")
        for option in shown:
            value = _toml_value(values.get(option.name))
            if value is None:
                yield f"# {key_of(option)} ="
            else:
                yield tomli_w.dumps({key_of(option): value}).rstrip("\n")


def _toml_value(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_toml_value(item) for item in value] or None
    return str(value) if isinstance(value, Path) else value

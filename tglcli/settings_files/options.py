"""The options --config and --print-config, which every command has; the parser acts on them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from stages.core.engine.runtime import Runtime

SETTINGS_FILE, PRINT_CONFIG = "settings_file", "print_config"
"""Names of the parameters."""
_OPTIONS = {
    SETTINGS_FILE: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="TOML file of settings, or an artifact, for the settings that made it. Typed "
            "options override it.",
            rich_help_panel=Runtime.panel,
        ),
    ],
    PRINT_CONFIG: Annotated[
        bool,
        typer.Option(
            "--print-config",
            help="Print the settings in effect as TOML, and do nothing else.",
            rich_help_panel=Runtime.panel,
        ),
    ],
}


def with_settings_file(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the two options to a command's function, which does not see them."""
    hints = get_type_hints(function, include_extras=True)
    parameters = [
        parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(function).parameters.items()
    ]
    for name, hint in _OPTIONS.items():
        default = None if name == SETTINGS_FILE else False
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters.append(inspect.Parameter(name, keyword, default=default, annotation=hint))

    @functools.wraps(function)
    def command(**given: Any) -> Any:
        return function(**{name: v for name, v in given.items() if name not in _OPTIONS})

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command

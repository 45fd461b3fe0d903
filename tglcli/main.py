"""The entry point: registers the commands, and turns a TglError into a line and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer

from schemas.errors import ConfigError, MissingInput, OutputBlocked, TglError, system_errors
from schemas.printable import printable
from tglcli.help import styled
from tglcli.libraries import quiet_libraries
from tglcli.parsing import Command, Group, name_values, present_names
from tglcli.settings_files.options import with_settings_file
from tglcli.termination import (
    BROKEN_PIPE,
    INTERRUPTED,
    RESUME,
    TERMINATED,
    Terminated,
    die_at_next_signal,
    exit_process,
    flush,
    open_closed_streams,
    terminated_by_signal,
)
from tglcli.usage import UsageError, usage_error

_BROKEN_PIPE_OF_RICH = 1
_STAGE = 40
"""Most characters shown of a stage's name, since a receipt may come from anywhere."""

COMMANDS = {
    "Stages, in order": (
        "extract_frames",
        "build_moments",
        "precompute_text",
        "train",
        "propagate",
        "score",
    ),
    "Without training": ("zero_shot.ground", "zero_shot.track", "zero_shot.assemble"),
    "Tools": (
        "segment.segment",
        "tools.select_moments",
        "tools.annotate",
        "tools.view",
        "tools.render",
        "tools.submit",
        "tools.check",
        "figures.describe",
        "tools.export_moments",
        "tools.export_masks",
        "tools.references",
        "figures.table",
        "tools.toy",
    ),
}
"""Modules below tglcli.commands by heading; the last part is the function's name too."""
_HELP = """Referring video object segmentation: segment objects in videos by sentences.

Each stage reads artifacts, writes one, and is skipped if it is up to date.

Examples:
    tgl help train
    tgl segment video.mp4 "the dog that jumps" -o overlay.mp4
"""


@cache
def command_app(only: str | None = None) -> typer.Typer:
    """Make the app of all commands, or of one: importing the others takes time.

    Args:
        only: name of a command, as typed.
    """
    made = typer.Typer(
        name="tgl",
        cls=Group,
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    made.callback()(_options)
    for heading, modules in COMMANDS.items():
        for module in modules:
            name = _command_name(module)
            if only in (None, name):
                function = getattr(import_module(f"tglcli.commands.{module}"), _last(module))
                own = name_values(with_settings_file(function))
                made.command(name, cls=Command, rich_help_panel=heading)(own)
    return made


def __getattr__(name: str) -> Any:
    if name == "app":  # of all commands
        return command_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _last(module: str) -> str:
    return module.rpartition(".")[2]


def _command_name(module: str) -> str:
    return _last(module).replace("_", "-")


def _print_version(wanted: bool) -> None:
    if wanted:
        from stages.core.engine.version import TGL_VERSION

        typer.echo(f"tgl {TGL_VERSION}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Options of tgl itself."""


def _made_by(error: TglError) -> str:
    """Name the stage that made the folder in which something is missing: often a wrong one."""
    if not isinstance(error, MissingInput) or error.path is None:
        return ""
    from schemas.receipts import read_receipt

    for folder in (error.path, error.path.parent):
        try:
            receipt = read_receipt(folder)
        except (TglError, ValueError):  # ValueError: a name that no file can have
            continue
        if receipt is not None:
            return f" ({printable(folder)} was made by tgl {printable(receipt.stage, _STAGE)})"
    return ""


def main() -> None:
    """Entry point of the console script."""
    # With several processes on few cores, spinning OpenMP threads would block each other.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    open_closed_streams()
    try:
        with terminated_by_signal(), quiet_libraries(_warn):
            code = _run(sys.argv[1:])
    except KeyboardInterrupt:
        die_at_next_signal()
        _print_line(f"interrupted; {RESUME}")
        exit_process(INTERRUPTED)
    except Terminated:
        die_at_next_signal()
        _print_line(f"terminated; {RESUME}")
        exit_process(TERMINATED)
    flush(sys.stdout)
    flush(sys.stderr)
    sys.exit(code)


def _run(words: list[str]) -> int:
    """Run a command, print its error as one line, and return the exit code."""
    try:
        with system_errors():
            _invoke(words)
            sys.stdout.flush()
    except typer.Exit as done:
        return done.exit_code
    except BrokenPipeError:
        # The reader of our output has ended (tgl ... | head): no error, and nothing to print.
        return BROKEN_PIPE
    except SystemExit as end:
        if end.code != _BROKEN_PIPE_OF_RICH:
            raise
        return BROKEN_PIPE
    except TglError as error:
        if isinstance(error, OutputBlocked) and error.where is None:  # the system names no file
            error.relocate("standard output")
            error.hint = None
        _print_line(f"{error}{_made_by(error)}", error=True)
        return error.exit_code
    return 0


def _invoke(words: list[str]) -> None:
    """Parse and run a command; click's own entry point would print boxes and swallow signals.

    Raises:
        ConfigError: an unknown command, or wrong arguments.
    """
    if "" in words:
        raise ConfigError(
            f"argument {words.index('') + 1} is empty", hint="is it an unset variable?"
        )
    command = _command(words)
    try:
        with command.make_context("tgl", list(words)) as context:
            command.invoke(context)
    except UsageError as error:
        if not words:  # the error is the help
            error.show()
            raise typer.Exit(error.exit_code) from None
        typed = words[1:] if error.ctx is None else present_names(error.ctx.command, words[1:])
        raise usage_error(error, typed) from None


def _command(words: list[str]) -> Any:
    """Build the commands of click: of one alone if it is named, for `tgl help NAME` too."""
    name = next(iter(words[1:] if words[:1] == ["help"] else words), None)
    return _built(name if name in _names() else None)


@cache
def _built(only: str | None) -> Any:
    group: Any = typer.main.get_command(command_app(only))
    group.names = _names()
    return group


def _names() -> tuple[str, ...]:
    return tuple(_command_name(module) for modules in COMMANDS.values() for module in modules)


def _warn(line: str) -> None:
    """Print a warning above the bars, if there are any."""
    from tglcli.progress import TerminalProgress

    TerminalProgress().warn(line)


def _print_line(line: str, *, error: bool = False) -> None:
    """Print one line on standard error."""
    with contextlib.suppress(OSError):  # closed
        if error:
            typer.echo(styled("error: ", fg="red", bold=True), nl=False, err=True)
        typer.echo(line, err=True)


if __name__ == "__main__":
    main()

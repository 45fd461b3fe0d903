"""Options made from config dataclasses, where defaults, limits and help are written once."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

import typer

from schemas.errors import ConfigError
from stages.core.engine.runtime import Runtime
from stages.core.engine.settings import (
    Setting,
    Settings,
    option_name,
    panels_of,
    settings_of,
)
from stages.core.engine.workers.launcher import launched_processes, launched_rank
from tglcli.summary import incomplete_run, print_outcome

if TYPE_CHECKING:
    from stages.core.engine.execute import Outcome
    from stages.core.engine.stage import Stage
    from tglcli.progress import TerminalProgress

RUN_PANEL = Runtime.panel
_GIVEN = ("COMMANDLINE", "DEFAULT_MAP")
"""Click's names of where a value comes from that the user gave: typed, or in a settings file."""
_FORCE = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Recompute, and replace whatever is at the output. Inputs are never replaced.",
        rich_help_panel=RUN_PANEL,
    ),
]
_QUIET = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Print no progress bars and no summary.", rich_help_panel=RUN_PANEL
    ),
]


@dataclass(frozen=True)
class RunOptions:
    """The options of a command that do not change its result."""

    runtime: Runtime
    force: bool
    quiet: bool

    def execute(self, stage: Stage[Any, Any], config: Settings, inputs: Any, out: Path) -> Outcome:
        """Execute a stage and print its summary.

        Raises:
            IncompleteRun: some inputs failed; each was printed on a line of its own.
        """
        outcome = self.compute(stage, config, inputs, out)
        self.finish(stage.name, outcome)
        return outcome

    def compute(self, stage: Stage[Any, Any], config: Settings, inputs: Any, out: Path) -> Outcome:
        """Execute a stage under a bar."""
        from stages.core.engine.execute import execute

        return execute(
            stage,
            config,
            inputs,
            out,
            runtime=self.runtime,
            progress=self.progress(),
            force=self.force,
        )

    def finish(self, name: str, outcome: Outcome) -> None:
        """Print a summary; raise IncompleteRun if inputs failed."""
        print_outcome(name, outcome, quiet=self.quiet)
        if outcome.failures:
            raise incomplete_run(outcome)

    def progress(self) -> TerminalProgress:
        """Make a bar, unless --quiet is given."""
        from tglcli.progress import TerminalProgress

        return TerminalProgress(quiet=self.quiet)


def stage_command(
    kind: type[Settings],
    *,
    runtime: tuple[str, ...] = (),
    own: tuple[str, ...] = (),
    recorded: Mapping[str, str] | None = None,
    artifact: bool = True,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for every setting of `kind`, and the common ones.

    The function takes `config` (an instance of `kind`) and `run` (:class:`RunOptions`) beside its
    own arguments.

    Args:
        runtime: the settings of Runtime that the command offers.
        own: settings for which the command has an option of its own form; `config` has their
            defaults.
        recorded: where it is not the setting's own name, the parameter that gives a setting of
            `own` when it is a file or a list of numbers.
        artifact: whether the command writes an artifact, which --force replaces.
    """
    offered = [name for name in panels_of(kind) if name not in own]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        parameters = [
            parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
            for name, parameter in inspect.signature(function).parameters.items()
            if name not in ("config", "run")
        ]
        parameters += _setting_parameters(kind, offered) + _setting_parameters(Runtime, runtime)
        parameters += _run_parameters(artifact)
        parameters = _by_panel(parameters, [*panels_of(kind).values(), RUN_PANEL])

        @functools.wraps(function)
        def command(**given: Any) -> None:
            config = kind(**_taken(given, offered))
            run_options = Runtime(**_taken(given, runtime))
            if "devices" in runtime:
                _refuse_launcher()
            run = RunOptions(run_options, given.pop("force", False), given.pop("quiet"))
            function(**given, config=config, run=run)

        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        command.former = _former_options(kind, offered)  # type: ignore[attr-defined]
        command.own = own  # type: ignore[attr-defined]
        command.recorded = dict(recorded or {})  # type: ignore[attr-defined]
        return command

    return decorate


def _refuse_launcher() -> None:
    """Raise ConfigError in the first of several processes of a launcher, and end the others."""
    count = launched_processes()
    if count == 1:
        return
    error = ConfigError(
        f"torchrun or accelerate started {count} of these processes, which only train uses",
        hint="start one, with --devices all (one machine) or --scheduler (a Dask cluster)",
    )
    if launched_rank():
        raise typer.Exit(error.exit_code)
    raise error


def given_options(context: typer.Context) -> frozenset[str]:
    """The names of a command's parameters that the user gave, even with their default values."""
    return frozenset(
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) and source.name in _GIVEN
    )


def _by_panel(parameters: list[inspect.Parameter], panels: list[str]) -> list[inspect.Parameter]:
    """Sort parameters by the order of their panels in the config; those without one come first."""
    order = {name: place for place, name in enumerate(dict.fromkeys(panels), start=1)}

    def place(parameter: inspect.Parameter) -> int:
        info = get_args(parameter.annotation)[1:]
        return order.get(info[0].rich_help_panel, 0) if info else 0

    return sorted(parameters, key=place)


def _taken(given: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Take the values of settings out of the parsed options: lists as tuples, None as not given."""
    values = {name: given.pop(name) for name in names}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if value is not None
    }


def _setting_parameters(kind: type[Settings], names: Iterable[str]) -> list[inspect.Parameter]:
    """A parameter of the command's function for each setting, with its option."""
    hints, panels = get_type_hints(kind), panels_of(kind)
    settings = settings_of(kind)
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return [
        _parameter(
            name,
            _annotation(name, hints[name], settings[name], panels[name]),
            _option_default(defaults[name]),
        )
        for name in names
    ]


def _option_default(default: Any) -> Any:
    """A field's default as typer takes it; one that is computed is left to the dataclass."""
    if default is dataclasses.MISSING:
        return None
    return list(default) if isinstance(default, tuple) else default


def _annotation(name: str, hint: Any, known: Setting, panel: str) -> Any:
    """The typer annotation of a setting."""
    option = option_name(name, known)
    declared = option
    if hint is bool:
        declared = f"{option}/--no-{option[2:]}"
    elif hint == tuple[str, ...]:
        hint = list[str]
    if known.choices is not None:
        hint = Literal[known.choices]
    return Annotated[hint, typer.Option(declared, help=known.help, rich_help_panel=panel)]


def _former_options(kind: type[Settings], names: Iterable[str]) -> dict[str, str]:
    """The options by their former names, with the negative forms of switches."""
    found = {}
    settings, hints = settings_of(kind), get_type_hints(kind)
    for name in names:
        present = option_name(name, settings[name])
        for former in settings[name].former:
            found[f"--{former}"] = present
            if hints[name] is bool:
                found[f"--no-{former}"] = f"--no-{present[2:]}"
    return found


def _run_parameters(artifact: bool) -> list[inspect.Parameter]:
    quiet = _parameter("quiet", _QUIET, False)
    return [_parameter("force", _FORCE, False), quiet] if artifact else [quiet]


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, keyword, default=default, annotation=annotation)

"""Options made from config dataclasses, so that a default, its limits and its help stand once."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from stages.core.engine.runtime import PRECISIONS, Runtime, usable_cores
from stages.core.engine.settings import Setting, Settings, option_name, settings_of
from tglcli.summary import print_outcome

if TYPE_CHECKING:
    from stages.core.engine.execute import Outcome
    from stages.core.engine.stage import Stage

SETTINGS_PANEL = Settings.panel
RUN_PANEL = "How it runs (does not change the result)"

_RUNTIME_OPTIONS: dict[str, tuple[Any, Any]] = {
    "workers": (
        Annotated[
            int,
            typer.Option(
                "--workers",
                help="Processes or threads that work side by side.",
                rich_help_panel=RUN_PANEL,
                show_default="the usable cores",
            ),
        ],
        None,
    ),
    "scheduler": (
        Annotated[
            str,
            typer.Option(
                "--scheduler",
                help="Address of a Dask scheduler (tcp://host:port) that takes the work instead.",
                rich_help_panel=RUN_PANEL,
            ),
        ],
        None,
    ),
    "device": (
        Annotated[
            str,
            typer.Option(
                "--device",
                help="cpu, cuda, cuda:1, mps, or auto for the best one.",
                rich_help_panel=RUN_PANEL,
            ),
        ],
        "auto",
    ),
    "precision": (
        Annotated[
            Literal[PRECISIONS],
            typer.Option(
                "--precision", help="Arithmetic of the network.", rich_help_panel=RUN_PANEL
            ),
        ],
        "fp32",
    ),
    "compile": (
        Annotated[
            bool,
            typer.Option(
                "--compile/--no-compile",
                help="Use torch.compile.",
                rich_help_panel=RUN_PANEL,
            ),
        ],
        False,
    ),
}
_FORCE = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Recompute, and replace whatever the output holds. An input is never replaced.",
        rich_help_panel=RUN_PANEL,
    ),
]
_QUIET = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No bars and no summary.", rich_help_panel=RUN_PANEL),
]


@dataclass(frozen=True)
class RunOptions:
    """What the user said about how a command runs."""

    runtime: Runtime
    force: bool
    quiet: bool

    def execute(self, stage: Stage[Any, Any], config: Settings, inputs: Any, out: Path) -> Outcome:
        """Execute a stage under a bar and print its summary.

        Raises:
            IncompleteRun: some inputs failed; each was printed on a line of its own.
        """
        from stages.core.engine.execute import execute
        from tglcli.progress import TerminalProgress

        progress = TerminalProgress(quiet=self.quiet)
        outcome = execute(
            stage,
            config,
            inputs,
            out,
            runtime=self.runtime,
            progress=progress,
            force=self.force,
        )
        print_outcome(stage.name, outcome, quiet=self.quiet)
        return outcome


def stage_command(
    kind: type[Settings],
    *,
    runtime: tuple[str, ...] = (),
    own: tuple[str, ...] = (),
    artifact: bool = True,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for every setting of `kind`, and the common ones.

    The function takes `config` (an instance of `kind`) and `run` (:class:`RunOptions`) beside its
    own arguments.

    Args:
        runtime: which of workers, scheduler, device, precision, compile the command knows.
        own: settings for which the command has an option of its own form; `config` has their
            defaults.
        artifact: whether the command makes an artifact, which --force makes anew.
    """
    offered = [name for name in settings_of(kind) if name not in own]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        arguments = {
            name: parameter
            for name, parameter in inspect.signature(function).parameters.items()
            if name not in ("config", "run")
        }
        hints = get_type_hints(function, include_extras=True)
        made = _setting_parameters(kind, offered) + _run_parameters(runtime, artifact)
        parameters = [
            parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
            for name, parameter in arguments.items()
        ]

        @functools.wraps(function)
        def command(**given: Any) -> None:
            config = kind(**{name: _taken(given.pop(name)) for name in offered})
            run = _run_options(given, runtime)
            function(**given, config=config, run=run)

        everything = parameters + made
        command.__signature__ = inspect.Signature(everything)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in everything}
        return command

    return decorate


def _taken(value: Any) -> Any:
    """Settings are immutable: a list from the command line becomes a tuple."""
    return tuple(value) if isinstance(value, list) else value


def _setting_parameters(kind: type[Settings], offered: list[str]) -> list[inspect.Parameter]:
    """The command's own settings, then those that it inherits, each class in a panel of its own."""
    hints = get_type_hints(kind)
    default: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    panel: dict[str, str] = {}
    for owner in kind.__mro__:
        if issubclass(owner, Settings):
            own, heading = vars(owner).get("__annotations__", ()), vars(owner).get("panel")
            new = [name for name in own if name in offered and name not in panel]
            panel |= dict.fromkeys(new, heading or SETTINGS_PANEL)
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=list(default[name]) if isinstance(default[name], tuple) else default[name],
            annotation=_annotation(name, hints[name], settings_of(kind)[name], panel[name]),
        )
        for name in panel
    ]


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
    return Annotated[
        hint,
        typer.Option(declared, help=known.help, rich_help_panel=panel),
    ]


def _run_parameters(runtime: tuple[str, ...], artifact: bool) -> list[inspect.Parameter]:
    chosen = {name: _RUNTIME_OPTIONS[name] for name in runtime}
    if artifact:
        chosen["force"] = (_FORCE, False)
    chosen["quiet"] = (_QUIET, False)
    return [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, (annotation, default) in chosen.items()
    ]


def _run_options(given: dict[str, Any], runtime: tuple[str, ...]) -> RunOptions:
    values = {name: given.pop(name) for name in runtime}
    if "workers" in values and values["workers"] is None:
        values["workers"] = usable_cores()
    return RunOptions(Runtime(**values), given.pop("force", False), given.pop("quiet"))

"""A stage is data plus one function."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from stages.core.engine.settings import Settings


class Inputs:
    """Base of what a stage reads: a frozen dataclass of paths."""

    def digests(self) -> dict[str, str]:
        """A digest (hex SHA-256) of every input by name; raises MissingInput."""
        raise NotImplementedError

    def paths(self) -> list[Path]:
        """Every file and folder that is named, which no output may replace."""
        values = [getattr(self, field.name) for field in dataclasses.fields(self)]  # type: ignore[arg-type]
        named = [path for value in values for path in (value if _is_several(value) else [value])]
        return [path for path in named if isinstance(path, Path)]


def _is_several(value: object) -> bool:
    return isinstance(value, tuple)


@dataclass(frozen=True)
class Result:
    """What a stage's run() returns.

    Attributes:
        counts: what the artifact holds, and what was dropped, for the summary and the receipt.
        failures: one line for each input that failed while the others went on.
        run_counts: what this run took over from earlier ones, for the summary alone: a resumed run
            ends in the same receipt as one that nobody interrupted.
    """

    counts: Mapping[str, int | float]
    failures: tuple[str, ...] = ()
    run_counts: Mapping[str, int | float] = dataclasses.field(default_factory=dict)


C = TypeVar("C", bound=Settings)
I = TypeVar("I", bound=Inputs)  # noqa: E741 (I for inputs, beside C for config)


@dataclass(frozen=True)
class Stage(Generic[C, I]):
    """A named, versioned step.

    Attributes:
        name: as the command is called.
        version: raised whenever the same config and inputs give another artifact.
        run: `run(config, inputs, out, *, runtime, progress) -> Result`; reads only `inputs`,
            writes only below `out.path`.
        memory_hint: how to rerun the stage with less memory.
    """

    name: str
    version: int
    config: type[C]
    inputs: type[I]
    run: Callable[..., Result]
    memory_hint: str = "free some memory, or use a machine with more"

    def identity(self, config: C) -> dict[str, Any]:
        """What the artifact depends on beside its inputs."""
        return {"stage": self.name, "version": self.version, "config": config.to_dict()}

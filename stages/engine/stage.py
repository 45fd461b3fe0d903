"""A stage is data plus one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from stages.engine.settings import Settings


class Inputs(Protocol):
    """What a stage reads: a frozen dataclass of paths."""

    def digests(self) -> dict[str, str]:
        """A digest (hex SHA-256) of every input by name; raises MissingInput."""


@dataclass(frozen=True)
class Result:
    """What a stage's run() returns.

    Attributes:
        counts: what was done, and what was dropped, for the summary.
        failures: one line for each input that failed while the others went on.
    """

    counts: Mapping[str, int | float]
    failures: tuple[str, ...] = ()


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
    """

    name: str
    version: int
    config: type[C]
    inputs: type[I]
    run: Callable[..., Result]

    def identity(self, config: C) -> dict[str, Any]:
        """What the artifact depends on beside its inputs."""
        return {"stage": self.name, "version": self.version, "config": config.to_dict()}

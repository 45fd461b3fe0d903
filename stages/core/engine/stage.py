"""A stage is data plus one function."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from stages.core.engine.settings import Settings


class Inputs:
    """Base of the inputs of a stage: a frozen dataclass of paths."""

    def digests(self) -> dict[str, str]:
        """A digest (hex SHA-256) of each input by name; raises MissingInput."""
        raise NotImplementedError

    def paths(self) -> list[Path]:
        """All input files and folders, which no output may replace."""
        values = [getattr(self, field.name) for field in dataclasses.fields(self)]  # type: ignore[arg-type]
        named = [path for value in values for path in (value if _is_several(value) else [value])]
        return [path for path in named if isinstance(path, Path)]


def _is_several(value: object) -> bool:
    return isinstance(value, tuple)


@dataclass(frozen=True)
class Result:
    """The result of a stage's run().

    Attributes:
        counts: of the artifact's content and of what was dropped, for the summary and the receipt.
        failures: one line for each input that failed while the others went on, by its name.
        run_counts: of what this run reused from earlier ones, for the summary alone: a resumed run
            ends in the same receipt as an uninterrupted one.
        threads: number of threads of torch, if it can change last digits.
    """

    counts: Mapping[str, int | float]
    failures: Mapping[str, str] = dataclasses.field(default_factory=dict)
    run_counts: Mapping[str, int | float] = dataclasses.field(default_factory=dict)
    threads: int | None = None


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
        network: it runs a network, whose precision the receipt names.
    """

    name: str
    version: int
    config: type[C]
    inputs: type[I]
    run: Callable[..., Result]
    memory_hint: str = "free some memory, or use a machine with more"
    network: bool = False

    def identity(self, config: C) -> dict[str, Any]:
        """Everything that the artifact depends on beside its inputs."""
        return {"stage": self.name, "version": self.version, "config": config.to_dict()}

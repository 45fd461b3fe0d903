"""How a stage runs: everything that may change speed but never the result."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from schemas.errors import ConfigError

PRECISIONS = ("fp32", "bf16")


def usable_cores() -> int:
    """Cores that this process may use (not those that the machine has)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Runtime:
    """Not part of the fingerprint.

    Attributes:
        workers: processes (or threads) for the work on single videos.
        device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto` for the best that is there.
        precision: of the network's arithmetic; fp32, or bf16 autocast.
        compile: whether torch.compile is used.
        scheduler: address of a Dask scheduler (tcp://host:port) in place of local processes.
    """

    workers: int = field(default_factory=usable_cores)
    device: str = "auto"
    precision: str = "fp32"
    compile: bool = False
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"{self.workers} is not a number of workers", where="--workers")
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"{self.precision!r} is not one of {', '.join(PRECISIONS)}", where="--precision"
            )

"""Runtime settings: everything that may change speed but never the result."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from stages.core.engine.settings import Settings, setting

AUTO = "auto"
FP32, BF16 = "fp32", "bf16"
PRECISIONS = (AUTO, FP32, BF16)


def usable_cores() -> int:
    """Cores that this process may use (not those that the machine has)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Runtime(Settings):
    """Settings of the machine; not part of the fingerprint."""

    panel: ClassVar[str] = "Runtime (does not change the result)"

    workers: int = setting(
        usable_cores, "Number of workers; by default one per usable core.", low=1
    )
    scheduler: str | None = setting(
        None, "Dask scheduler, tcp://HOST:PORT, whose workers do the work instead of this machine."
    )
    device: str = setting(AUTO, "cpu, cuda, cuda:1, mps, or auto for the best one available.")
    devices: str | None = setting(
        None,
        "Devices to divide the work over, one process each: numbers of GPUs (0,1), all, or names "
        "(cpu,cpu).",
    )
    precision: str = setting(AUTO, "auto is bf16 on GPUs that have it.", choices=PRECISIONS)
    compile: bool = setting(False, "Compile the network with torch.compile.")
    checkpoint_activations: bool = setting(
        False, "Recompute activations in the backward pass to save memory."
    )

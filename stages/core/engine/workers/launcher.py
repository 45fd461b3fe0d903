"""Whether torchrun or `accelerate launch` started this process, as one of several."""

from __future__ import annotations

import os


def launched_processes() -> int:
    """Return the number of processes that a launcher started for this run; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def launched_rank() -> int:
    """Return the number of this process among those; 0 without a launcher."""
    return int(os.environ["RANK"]) if launched_processes() > 1 else 0

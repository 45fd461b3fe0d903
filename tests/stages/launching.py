"""A command in two processes, as a launcher starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence


def launch_pair(
    *command: object,
    program: Sequence[str] = ("-m", "tglcli"),
    python: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run `tgl COMMAND` in two processes on this machine.

    Args:
        program: what torchrun starts in place of tgl.
        python: what stands for python, of torchrun and of what it starts, if anything does.
    """
    stand_in = ("--no-python", *python) if python else ()
    return subprocess.run(
        [
            *(*(python or [sys.executable]), "-m", "torch.distributed.run", "--standalone"),
            *("--nproc_per_node", "2", *stand_in, *program, *map(str, command)),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )

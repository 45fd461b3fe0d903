"""A command in two processes, as a launcher starts it."""

from __future__ import annotations

import os
import subprocess
import sys


def launch_pair(
    *command: object, program: tuple[str, ...] = ("-m", "tglcli")
) -> subprocess.CompletedProcess[str]:
    """Run `tgl COMMAND` in two processes on this machine.

    Args:
        program: what torchrun starts in place of tgl.
    """
    return subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc_per_node", "2", *program, *map(str, command)),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )

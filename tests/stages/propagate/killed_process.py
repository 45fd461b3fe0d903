"""`tgl` in a run of two processes: both finish one sentence, then the second one is killed."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from stages.core.engine.workers.processes import place
from stages.propagate.work import FinishedUnits
from tglcli.main import main

UNTIL_STOPPED = 300
PAUSE = 0.05
FIRST_IS_READY = Path(tempfile.gettempdir()) / f"tgl-first-{os.environ['TORCHELASTIC_RUN_ID']}"
"""Made by the first process; both have the number of one run."""


def add_and_end(self: FinishedUnits, *args: Any) -> None:
    """Mark the sentence as finished. Then the first process waits for the launcher's signal; the
    second one, once the first has marked its own, is killed as by the kernel.
    """
    add(self, *args)
    if place().rank == 1:
        while not FIRST_IS_READY.exists():
            time.sleep(PAUSE)
        FIRST_IS_READY.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    FIRST_IS_READY.touch()
    time.sleep(UNTIL_STOPPED)


add = FinishedUnits.add
FinishedUnits.add = add_and_end  # type: ignore[method-assign]
main()

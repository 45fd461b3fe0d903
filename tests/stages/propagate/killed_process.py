"""`tgl` in a run of two processes: both finish one sentence, then the second one is killed."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from stages.engine.processes import place
from stages.propagate.work import Kept
from tglcli.main import main

UNTIL_STOPPED = 300


def add_and_end(self: Kept, *args: Any) -> None:
    """Keep the sentence, then die as by the kernel's hand, or wait for the launcher's signal."""
    add(self, *args)
    if place().rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(UNTIL_STOPPED)


add = Kept.add
Kept.add = add_and_end  # type: ignore[method-assign]
main()

"""Jobs that a script of test_pool.py runs in processes of its own."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def report_and_sleep(folder: str) -> None:
    """Leave a file named after this process, then wait to be ended."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)


def is_loaded(module: str) -> bool:
    """Whether this process has a module already, which this file does not import."""
    return module in sys.modules

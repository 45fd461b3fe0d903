"""What other libraries would print, kept off the terminal, in one place and before they are loaded.

Settings in the environment reach worker processes too, and the user's own ones win. A library's
warning about the machine's GPU is what a user must act on: it becomes a line of tgl's.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import PurePath
from typing import Any

ENVIRONMENT = {
    # Of tables whose buffers came from another process, arrow warns once per table, or copies them.
    "ACERO_ALIGNMENT_HANDLING": "reallocate",
    "DASK_LOGGING__DISTRIBUTED": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",  # and those of transformers
    "HF_HUB_VERBOSITY": "error",
    "PYTHONWARNINGS": "ignore",  # of processes that this one starts
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TORCH_LOGS": "-all",  # errors alone
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}
_OF_THE_GPU = ("torch", "cuda")
"""Folder of torch that warns of drivers that are too old, and of GPUs that it does not know."""


@contextmanager
def quiet_libraries(tell: Callable[[str], None]) -> Iterator[None]:
    """Keep other libraries from printing in this context, and in the processes that it starts.

    Args:
        tell: receives warnings that the user must act on, a line each.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    handler = _Records(tell)
    root, shown = logging.getLogger(), warnings.showwarning
    if not root.handlers:
        root.addHandler(handler)
    warnings.showwarning = _receiver(tell)
    try:
        yield
    finally:
        warnings.showwarning = shown
        root.removeHandler(handler)


class _Records(logging.Handler):
    """Receives what libraries log as warnings or errors, if nothing else does: a line for each."""

    def __init__(self, tell: Callable[[str], None]):
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler``."""
        self._tell(f"{record.name.partition('.')[0]}: {_first_line(record.getMessage())}")


def _receiver(tell: Callable[[str], None]) -> Callable[..., None]:
    """A function for ``warnings.showwarning``."""

    def receive(
        message: Warning | str, category: type[Warning], filename: str, *_: Any, **__: Any
    ) -> None:
        named = PurePath(filename).parts
        of_the_gpu = _OF_THE_GPU in pairwise(named)
        if of_the_gpu and not issubclass(category, DeprecationWarning | FutureWarning):
            tell(f"torch: {_first_line(str(message))}")

    return receive


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[0].strip()

"""Writing the artifact in the background, at most every few seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event, Thread

from schemas.errors import TglError

Counts = Mapping[str, int | float]
_DELAY_SECONDS = 2.0
"""How long changes are collected before they are written."""


class Saver:
    """Writes the artifact some time after a change, and at the end.

    Args:
        write: writes it; returns counts.
        warn: receives why it could not be written; the log has everything, so work goes on.
    """

    def __init__(self, write: Callable[[], Counts], warn: Callable[[str], None]):
        self._write = write
        self._warn = warn
        self._changed = Event()
        self._closing = Event()
        self._thread = Thread(target=self._work, name="tgl-annotate-saver", daemon=True)
        self._thread.start()

    def changed(self) -> None:
        """Let the artifact be written soon."""
        self._changed.set()

    def close(self) -> Counts:
        """Stop, write the artifact a last time and return its counts.

        Raises:
            TglError: it cannot be written.
        """
        self._closing.set()
        self._changed.set()
        self._thread.join()
        return self._write()

    def _work(self) -> None:
        while True:
            self._changed.wait()
            if self._closing.wait(_DELAY_SECONDS):
                return
            self._changed.clear()
            try:
                self._write()
            except (TglError, OSError) as error:
                self._warn(f"the moments were not written ({error}); the log has them")

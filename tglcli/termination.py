"""The end of a process: signals, exit codes, and streams that are closed or no longer read."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

RESUME = "run the same command again to resume"
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
BROKEN_PIPE = 128 + signal.SIGPIPE
_STANDARD_STREAMS = (0, 1, 2)


class Terminated(BaseException):
    """SIGTERM, as sent by a scheduler or `kill`."""


@contextmanager
def terminated_by_signal() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that files are closed and locks freed as on Ctrl-C.

    Raises:
        Terminated: the signal came.
    """

    def terminate(number: int, frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def die_at_next_signal() -> None:
    """Let the next Ctrl-C or SIGTERM end the process at once and without a message."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def exit_process(code: int) -> None:
    """End the process without waiting for its threads.

    Raises:
        SystemExit: no thread is left, so Python can end in order.
    """
    for stream in (sys.stdout, sys.stderr):
        flush(stream)
    others = (thread for thread in threading.enumerate() if thread is not threading.main_thread())
    if any(not thread.daemon for thread in others):
        os._exit(code)
    sys.exit(code)


def open_closed_streams() -> None:
    """Open standard streams that were closed (`2>&-`) on the null device.

    Otherwise the next file that is opened would get their number, and the messages of libraries
    would be written into it.
    """
    for number in _STANDARD_STREAMS:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115


def flush(stream: object) -> OSError | None:
    """Write the buffer of a stream; if that fails, drop it and return the error."""
    if stream is None:
        return None
    try:
        stream.flush()  # type: ignore[attr-defined]
    except ValueError:  # closed
        return None
    except OSError as error:
        _discard(stream)
        return error
    return None


def _discard(stream: object) -> None:
    """Redirect a stream to the null device: Python would flush it again at exit, and complain."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())  # type: ignore[attr-defined]
    os.close(null)

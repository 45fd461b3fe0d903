"""How a run ends: interrupted, terminated, or without anybody who reads what it prints."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

GO_ON = "run the same command again to continue"
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
UNREAD = 128 + signal.SIGPIPE
_STANDARD_STREAMS = (0, 1, 2)


class Terminated(BaseException):
    """The system asks tgl to end (SIGTERM), as a scheduler or `kill` does."""


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """While it lasts, SIGTERM ends what runs as Ctrl-C does: files closed, locks free.

    Raises:
        Terminated: the signal came.
    """

    def end(number: int, frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def hurry() -> None:
    """From now on a second Ctrl-C or SIGTERM ends the process at once and without a word."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def leave(code: int) -> None:
    """End the process, whatever its threads still do: nobody waits for them.

    Raises:
        SystemExit: no thread is left, and Python may end in order.
    """
    for stream in (sys.stdout, sys.stderr):
        flush(stream)
    others = (thread for thread in threading.enumerate() if thread is not threading.main_thread())
    if any(not thread.daemon for thread in others):
        os._exit(code)
    sys.exit(code)


def open_closed_streams() -> None:
    """Give the standard streams that were closed (`2>&-`) to nobody.

    The next file that is opened would take the number, and what libraries print would go into it.
    """
    for number in _STANDARD_STREAMS:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115


def flush(stream: object) -> OSError | None:
    """Write what a stream still holds; what it cannot take is dropped, and told."""
    if stream is None:
        return None
    try:
        stream.flush()  # type: ignore[attr-defined]
    except ValueError:  # closed
        return None
    except OSError as error:
        _drop(stream)
        return error
    return None


def _drop(stream: object) -> None:
    """Let a stream write to nobody: Python would try again at its end, and complain."""
    nobody = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nobody, stream.fileno())  # type: ignore[attr-defined]
    os.close(nobody)

"""Starting programs so that none of them outlives the process that started it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

# Reads "+PID" and "-PID" lines; when the pipe closes, its writer has ended in some way.
_WATCHDOG = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
children = set()
for line in sys.stdin:
    (children.add if line[0] == "+" else children.discard)(int(line[1:]))
for child in children:
    try:
        os.kill(child, signal.SIGKILL)
    except OSError:
        pass
"""

_lock = threading.Lock()
_running: set[subprocess.Popen[Any]] = set()
_watchdog: subprocess.Popen[str] | None = None


@contextmanager
def child(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Run a program in a context, which ends when the program has ended.

    It is killed when an exception leaves the context, :func:`kill_children` is called, or this
    process is killed.

    Args:
        options: as of subprocess.Popen. The program gets its own session: Ctrl-C goes to this
            process alone, which ends its children in order.
    """
    process = subprocess.Popen(command, start_new_session=True, **options)
    with _lock:
        _running.add(process)
        _tell(f"+{process.pid}")
    try:
        with process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise
    finally:
        with _lock:
            _running.discard(process)
            _tell(f"-{process.pid}")


def kill_children() -> None:
    """Kill every program that any thread of this process has started."""
    with _lock:
        for process in _running:
            process.kill()


def _tell(line: str) -> None:
    """Send a line to the watchdog; start it first if it is not running."""
    global _watchdog
    if _watchdog is None or _watchdog.poll() is not None:
        _watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCHDOG],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
    assert _watchdog.stdin is not None
    with suppress(BrokenPipeError):  # killed by someone; the next call starts another
        _watchdog.stdin.write(f"{line}\n")
        _watchdog.stdin.flush()

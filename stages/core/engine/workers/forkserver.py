"""The process that workers are forked from, and how workers and signals end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import ForkServerContext

_LAST_MODULE = "stages.core.engine.workers.preloaded"


def start_forkserver(modules: Sequence[str] = ()) -> ForkServerContext:
    """Start the process that workers are forked from, if it does not run, with Ctrl-C and SIGTERM
    blocked: a terminal sends them to all of its processes, and this one alone decides what to do.

    Forking this process instead would copy the locks of threads of arrow and torch in any state.

    Args:
        modules: loaded there once for all workers; loading them must start no threads.

    Returns:
        the context that starts workers; each should call :func:`end_with_parent`.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", *modules, _LAST_MODULE])
    resource_tracker.ensure_running()  # it would unblock the signals
    with uninterrupted():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM to the end of the block, as while workers start.

    A worker whose parent ends in the meantime would print a traceback.
    """
    if threading.current_thread() is not threading.main_thread():  # only that one is interrupted
        yield
        return
    waiting: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for known in before:
        signal.signal(known, lambda number, frame: waiting.append(number))
    try:
        yield
    finally:
        for known, handler in before.items():
            signal.signal(known, signal.SIG_DFL if handler is None else handler)
    for number in waiting[:1]:
        signal.raise_signal(number)


def end_with_parent() -> None:
    """Let this worker end when its parent was killed.

    Otherwise it would wait for jobs forever.
    """
    # The forkserver blocks it; torch ends the workers of a loader by it.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

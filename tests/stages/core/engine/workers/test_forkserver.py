"""The process that workers are forked from."""

from __future__ import annotations

import gc
from multiprocessing.connection import Connection

from stages.core.engine.workers.forkserver import end_with_parent, start_forkserver

MANY = 10_000


def tell_frozen(answer: Connection) -> None:
    """A worker's job."""
    end_with_parent()
    answer.send((gc.get_freeze_count(), gc.isenabled()))


def test_workers_leave_what_they_were_forked_with_out_of_searches_for_garbage() -> None:
    """A search writes to each object that it visits, and so copies its memory."""
    context = start_forkserver()
    here, there = context.Pipe(duplex=False)
    worker = context.Process(target=tell_frozen, args=(there,))
    worker.start()
    frozen, searches = here.recv()
    worker.join()
    assert frozen > MANY
    assert searches

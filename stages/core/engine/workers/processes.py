"""One run in several processes that `torchrun` or `accelerate launch` started.

The first process runs the stage as if it were alone: it holds the lock, resumes and publishes. It
calls the others to help with the work, and dismisses them at the end. They talk through the key-
value store that the launcher's environment names (torch's ``env://`` rendezvous); files go through
the folder that all of them see. Whoever is not heard of for a while is taken for dead.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Protocol, TypeVar

from schemas.errors import TglError

T = TypeVar("T")

JOIN_SECONDS = 600
"""How long the processes wait for each other at the start."""
SILENCE_SECONDS = 60.0
"""A process that gives no sign of life for so long is taken for dead."""
BEAT_SECONDS = 5.0
POLL_SECONDS = 0.1
STOPPED_CODE = 128 + signal.SIGTERM
GO_ON = "run the same command again to resume; finished work is kept"

_DISMISSED = "dismissed"


@dataclass(frozen=True)
class Place:
    """The rank of this process among those of a run.

    Attributes:
        rank: its number; 0 leads.
        count: of all processes.
        local_rank: its number on its machine, which is also the number of its GPU.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0


def place() -> Place:
    """As the launcher's environment says; the only one without a launcher."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Place()
    rank = int(os.environ["RANK"])
    return Place(rank, count, int(os.environ.get("LOCAL_RANK", "0")))


class Store(Protocol):
    """The part of ``torch.distributed.Store`` that a team uses."""

    def add(self, key: str, amount: int) -> int:
        """Add to a number and return it."""

    def set(self, key: str, value: str) -> None:
        """Write a value."""

    def get(self, key: str) -> bytes:
        """Read a value that is there."""

    def check(self, keys: list[str]) -> bool:
        """Whether all values are there."""


class Team:
    """The processes of one run.

    Args:
        place: of this process.
        store: that all share.
    """

    def __init__(self, place: Place, store: Store):
        self.place = place
        self._store = store
        self._calls = 0
        self._heard: dict[int, tuple[bytes, float]] = {}

    def take(self, name: str) -> int:
        """0, then 1, 2, ...: each number once among all processes."""
        return self._store.add(f"{self._calls}/{name}", 1) - 1

    def count(self, name: str, amount: int = 0) -> int:
        """Add to a number that all processes see, and return it."""
        return self._store.add(f"{self._calls}/{name}", amount)

    def call(self, order: dict[str, Any]) -> None:
        """Ask the others to work along (first process only)."""
        self._calls += 1
        self._store.set(f"order/{self._calls}", json.dumps(order))

    def orders(self) -> Iterator[dict[str, Any]]:
        """Orders of the first process, until it dismisses (other processes only)."""
        while True:
            key = f"order/{self._calls + 1}"
            while not self._store.check([key]):
                if self._store.check([_DISMISSED]):
                    return
                self._expect_life(0)
                time.sleep(POLL_SECONDS)
            self._calls += 1
            yield json.loads(self._store.get(key))

    def report(self, report: dict[str, Any]) -> None:
        """Say what was done (other processes only)."""
        self._store.set(self._report_key(self.place.rank), json.dumps(report))

    def reports(self) -> list[dict[str, Any]]:
        """Wait for the reports of the others (first process only).

        Raises:
            TglError: one of them is not heard of any more.
        """
        found = []
        for rank in range(1, self.place.count):
            while not self._store.check([self._report_key(rank)]):
                self._expect_life(rank)
                time.sleep(POLL_SECONDS)
            found.append(json.loads(self._store.get(self._report_key(rank))))
        return found

    def dismiss(self) -> None:
        """Let the others go (first process only)."""
        self._store.set(_DISMISSED, "")

    @property
    def dismissed(self) -> bool:
        """The first process has ended, well or not."""
        return self._store.check([_DISMISSED])

    def beat(self, number: int) -> None:
        """Give a sign of life."""
        self._store.set(f"alive/{self.place.rank}", str(number))

    def _report_key(self, rank: int) -> str:
        return f"report/{self._calls}/{rank}"

    def _expect_life(self, rank: int) -> None:
        key = f"alive/{rank}"
        beat = self._store.get(key) if self._store.check([key]) else b""
        now = time.monotonic()
        last, since = self._heard.setdefault(rank, (beat, now))
        if beat != last:
            self._heard[rank] = (beat, now)
        elif now - since > SILENCE_SECONDS:
            raise TglError(
                f"process {rank} of {self.place.count} has not responded for "
                f"{SILENCE_SECONDS:.0f} s",
                hint=GO_ON,
            )


class _OwnStore:
    """The store of a process that is alone."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._values: dict[str, bytes] = {}

    def add(self, key: str, amount: int) -> int:
        self._numbers[key] = self._numbers.get(key, 0) + amount
        return self._numbers[key]

    def set(self, key: str, value: str) -> None:
        self._values[key] = value.encode()

    def get(self, key: str) -> bytes:
        return self._values[key]

    def check(self, keys: list[str]) -> bool:
        return all(key in self._values for key in keys)


@cache
def _launched_store() -> Store:
    """The store that the launcher's environment names; joined once in a process."""
    import torch.distributed as dist

    try:
        store, _, _ = next(dist.rendezvous("env://", timeout=timedelta(seconds=JOIN_SECONDS)))
    except (ValueError, RuntimeError) as error:
        raise TglError(
            f"the processes of this run could not connect ({error})",
            hint="start them with torchrun or accelerate launch",
        ) from error
    return dist.PrefixStore("tgl", store)


def join() -> Team:
    """The team of this run: all processes of the launcher, or this one alone.

    Raises:
        TglError: the others did not come.
    """
    own = place()
    return Team(own, _OwnStore() if own.count == 1 else _launched_store())


def together(work: Callable[[], T], follow: Callable[[Team, dict[str, Any]], None]) -> T | None:
    """Run a stage in one process, or in all that a launcher started.

    Args:
        work: executes the stage; called in the first process alone. The stage calls the others
            with :meth:`Team.call`.
        follow: works along in the other processes whenever they are called.

    Returns:
        What `work` returned in the first process, None in the others.

    Raises:
        TglError: as `work` raises; another process is dead, or the launcher ended this one.
    """
    if place().count == 1:
        return work()
    team = join()
    with _heard_of(team), _stoppable(team):
        if team.place.rank == 0:
            try:
                return work()
            finally:
                team.dismiss()
        for order in team.orders():
            follow(team, order)
    return None


@contextmanager
def _heard_of(team: Team) -> Iterator[None]:
    """Give signs of life from a thread of its own while the context lasts."""
    over = threading.Event()

    def beat() -> None:
        number = 0
        while not over.wait(BEAT_SECONDS):
            number += 1
            try:
                team.beat(number)
            except RuntimeError:  # the store is gone, and with it whoever could listen
                return

    team.beat(0)
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _stoppable(team: Team) -> Iterator[None]:
    """Turn the launcher's request to end into one line of the first process.

    A launcher that loses one process ends the others.
    """

    def stop(number: int, frame: object) -> None:
        if team.place.rank:
            raise SystemExit(STOPPED_CODE)
        raise TglError("stopped by the launcher, as when another process ends", hint=GO_ON)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

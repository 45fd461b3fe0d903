"""Several processes share one run: every number once, reports, and what happens to the dead."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from typing import Any

import pytest
from torch.distributed import HashStore

from schemas.errors import TglError
from stages.core.engine.workers import processes
from stages.core.engine.workers.processes import STOPPED_CODE, Place, Team, join, place, together

COUNT = 3


@pytest.fixture
def teams(monkeypatch: pytest.MonkeyPatch) -> list[Team]:
    """The members of a run as each process would have them, on one store."""
    monkeypatch.setattr(processes, "POLL_SECONDS", 0.001)
    store = HashStore()
    return [Team(Place(rank, COUNT, rank), store) for rank in range(COUNT)]


def launched(monkeypatch: pytest.MonkeyPatch, team: Team) -> None:
    """Let this process be one of several."""
    monkeypatch.setattr(processes, "place", lambda: team.place)
    monkeypatch.setattr(processes, "join", lambda: team)


def test_without_a_launcher_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    assert place() == Place(0, 1, 0)
    team = join()
    team.call({"what": 1})
    assert [team.take("x"), team.take("x"), team.take("y")] == [0, 1, 0]
    assert team.reports() == []
    assert not team.dismissed
    assert together(lambda: 7, lambda team, order: None) == 7


def test_a_launcher_names_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WORLD_SIZE", "4"), ("RANK", "3"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert place() == Place(3, 4, 1)


def test_the_others_work_until_they_are_dismissed(teams: list[Team]) -> None:
    """Two rounds of work; every number goes to one process, and numbers begin anew."""
    orders: list[list[dict[str, Any]]] = [[] for _ in teams]
    taken: list[Counter[tuple[int, int]]] = [Counter() for _ in teams]

    def take_all(team: Team, round_number: int) -> None:
        while (number := team.take("n")) < 50:
            taken[team.place.rank][round_number, number] += 1

    def follow(team: Team) -> None:
        for order in team.orders():
            orders[team.place.rank].append(order)
            take_all(team, order["round"])
            team.report({"rank": team.place.rank, "round": order["round"]})

    threads = [threading.Thread(target=follow, args=(team,)) for team in teams[1:]]
    for thread in threads:
        thread.start()
    for number in range(2):
        teams[0].call({"round": number})
        take_all(teams[0], number)
        expected = [{"rank": rank, "round": number} for rank in range(1, COUNT)]
        assert teams[0].reports() == expected
    teams[0].dismiss()
    for thread in threads:
        thread.join(timeout=10)
        assert not thread.is_alive()
    assert orders[1] == orders[2] == [{"round": 0}, {"round": 1}]
    whole = sum(taken, Counter())
    assert whole == {(number, value): 1 for number in range(2) for value in range(50)}


def test_a_silent_process_is_taken_for_dead(
    teams: list[Team], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "SILENCE_SECONDS", 0.05)
    teams[0].call({})
    next(teams[1].orders())
    teams[1].report({})
    with pytest.raises(TglError, match="process 2 of 3 has not responded for 0 s; run the"):
        teams[0].reports()
    with pytest.raises(TglError, match="process 0 of 3 has not responded"):
        next(Team(teams[1].place, HashStore()).orders())


def test_a_process_that_beats_is_waited_for(
    teams: list[Team], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "SILENCE_SECONDS", 0.2)
    teams[0].call({})
    for team in teams[1:]:
        next(team.orders())
    teams[1].report({"number": 1})

    def late() -> None:
        for number in range(20):
            teams[2].beat(number)
            threading.Event().wait(0.03)
        teams[2].report({"number": 2})

    thread = threading.Thread(target=late)
    thread.start()
    assert teams[0].reports() == [{"number": 1}, {"number": 2}]
    thread.join()


def test_a_failing_first_process_lets_the_others_go(
    teams: list[Team], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise TglError("no such checkpoint")

    launched(monkeypatch, teams[0])
    with pytest.raises(TglError, match="no such checkpoint"):
        together(fail, lambda team, order: None)
    launched(monkeypatch, teams[1])
    assert together(fail, lambda team, order: None) is None


def test_the_launchers_signal_is_one_line_of_the_first_process(
    teams: list[Team], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(10)

    before = signal.getsignal(signal.SIGTERM)
    launched(monkeypatch, teams[0])
    with pytest.raises(TglError, match="stopped by the launcher"):
        together(stop, lambda team, order: None)
    assert teams[1].dismissed
    other = Team(Place(1, 2, 1), HashStore())
    other_first = Team(Place(0, 2, 0), other._store)
    other_first.call({})
    launched(monkeypatch, other)
    with pytest.raises(SystemExit) as caught:
        together(stop, lambda team, order: stop())
    assert caught.value.code == STOPPED_CODE
    assert signal.getsignal(signal.SIGTERM) is before

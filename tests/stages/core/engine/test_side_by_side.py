"""Runs beside other runs: one writer at a time, and readers that see one artifact, whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from killing import run_in_child
from tiny_world import Job, TinyWorld, snapshot, tgl

from schemas.directories import all_scratches, locked, publish
from schemas.errors import CorruptInput, OutputBlocked, TglError
from schemas.layouts import SCORES_TABLE
from stages.score import stage as score_stage

_READS = 12
_TRIES = 5
_LOOK_SECONDS = 0.0005
_LONGEST_SECONDS = 120
_PAUSE_SECONDS = 0.2
"""Between two publications: about twice as long as scoring takes."""


def scoring(world: TinyWorld, preds: Path) -> Job:
    """`tgl score` of other predictions."""
    job = world.job("score")
    return replace(job, inputs=replace(job.inputs, preds=preds))


def scores(folder: Path) -> bytes:
    """The table of scores."""
    return (folder / SCORES_TABLE).read_bytes()


def test_predictions_swapped_while_they_are_scored(
    tiny_world: TinyWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preds = Path(shutil.copytree(tiny_world.preds, tmp_path / "preds"))
    other = Path(shutil.copytree(tiny_world.answers, tmp_path / "other"))
    original = score_stage.temporal_of

    def swapped(*given: object) -> object:
        preds.rename(tmp_path / "away")
        other.rename(preds)
        return original(*given)

    monkeypatch.setattr(score_stage, "temporal_of", swapped)
    out = tmp_path / "scores"
    with pytest.raises(CorruptInput, match="was replaced while it was read; run the same command"):
        scoring(tiny_world, preds).execute(out)
    assert not out.exists()
    monkeypatch.undo()
    scoring(tiny_world, preds).execute(out)
    scoring(tiny_world, tiny_world.answers).execute(tmp_path / "fresh")
    assert scores(out) == scores(tmp_path / "fresh")


def test_a_second_run_is_refused_at_once(tiny_world: TinyWorld, tmp_path: Path) -> None:
    out = Path(shutil.copytree(tiny_world.preds, tmp_path / "out"))
    before = snapshot(out)
    command = ("propagate", tiny_world.index, tiny_world.text, tiny_world.model, out)

    def second() -> None:
        code, _, said = tgl(*command, "--device", "cpu", "--fill-gaps", "3")
        assert code == OutputBlocked.exit_code, said
        assert said == f"error: {out}: another tgl run is writing this; wait for it, or stop it\n"

    with locked(out):
        run_in_child(second)
    assert snapshot(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """`start(words)`: a process of the command line, which does not outlive the test."""
    running = []

    def begin(*words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tglcli", *map(str, words)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        running.append(subprocess.Popen(command, **pipes, text=True, env=environment))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.wait()


def end(process: subprocess.Popen[str], out: Path) -> bool:
    """Wait for a process: it did its work, or said in one line that another one is at it."""
    _, said = process.communicate(timeout=_LONGEST_SECONDS)
    if process.returncode == 0:
        return True
    assert process.returncode == OutputBlocked.exit_code, said
    assert said == f"error: {out}: another tgl run is writing this; wait for it, or stop it\n"
    return False


def pair(world: TinyWorld, name: str) -> list[Callable[[Path], list[object]]]:
    """Two commands of the same name, of OUT, that write different things."""
    if name == "references":
        kinds = ("all-objects", "one-at-random")
        return [lambda out, kind=kind: [name, world.index, out, "--kind", kind] for kind in kinds]
    tables = (world.index / "moments.parquet", world.chosen / "moments.parquet")
    return [
        lambda out, table=table: [name, world.index, out, "--moments", table] for table in tables
    ]


def alone(commands: list[Callable[[Path], list[object]]], folder: Path) -> list[dict[str, str]]:
    """What each of the commands leaves where nothing else runs."""
    for number, command in enumerate(commands):
        (folder / str(number)).mkdir(parents=True)
        assert tgl(*command(folder / str(number) / "out"))[0] == 0
    left = [snapshot(folder / str(number)) for number in range(len(commands))]
    assert left[0] != left[1]
    return left


@pytest.mark.parametrize("name", ["references", "export-moments"])
def test_two_processes_that_start_together(
    tiny_world: TinyWorld, tmp_path: Path, start: Start, name: str
) -> None:
    commands = pair(tiny_world, name)
    whole = alone(commands, tmp_path / "alone")
    place = tmp_path / "place"
    place.mkdir()
    both = [start(*command(place / "out")) for command in commands]
    ended = [end(process, place / "out") for process in both]
    assert any(ended)
    assert snapshot(place) in whole


def test_a_process_that_waits_in_the_midst_of_its_work_keeps_another_out(
    tiny_world: TinyWorld, tmp_path: Path, start: Start
) -> None:
    commands = pair(tiny_world, "references")
    whole = alone(commands, tmp_path / "alone")
    place = tmp_path / "place"
    for _ in range(_TRIES):
        place.mkdir()
        first = start(*commands[0](place / "out"))
        while first.poll() is None and not all_scratches(place / "out"):
            time.sleep(_LOOK_SECONDS)
        first.send_signal(signal.SIGSTOP)
        if first.poll() is None and all_scratches(place / "out"):
            break
        first.send_signal(signal.SIGCONT)  # it was faster than we are
        assert end(first, place / "out")
        shutil.rmtree(place)
    before = snapshot(place)
    assert not end(start(*commands[1](place / "out")), place / "out")
    assert snapshot(place) == before
    first.send_signal(signal.SIGCONT)
    assert end(first, place / "out")
    assert snapshot(place) == whole[0]


def test_a_reader_beside_a_writer_sees_one_artifact_or_says_so(
    tiny_world: TinyWorld, tmp_path: Path
) -> None:
    preds = Path(shutil.copytree(tiny_world.preds, tmp_path / "preds"))
    whole = []
    for name in ("preds", "answers"):
        scoring(tiny_world, tiny_world.root / name).execute(tmp_path / f"alone-{name}")
        whole.append(scores(tmp_path / f"alone-{name}"))
    assert whole[0] != whole[1]
    writer = os.fork()
    if writer == 0:
        _publish_for_ever(tiny_world, tmp_path / "next", preds)
    try:
        for number in range(_READS):
            out = tmp_path / f"scores-{number}"
            said = ""
            try:
                scoring(tiny_world, preds).execute(out)
            except TglError as error:
                said = str(error)
            assert scores(out) in whole if not said else "replaced while it was read" in said
    finally:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
    scoring(tiny_world, preds).execute(tmp_path / "afterwards")
    assert scores(tmp_path / "afterwards") in whole


def _publish_for_ever(world: TinyWorld, scratch: Path, out: Path) -> None:
    try:
        while True:
            for name in ("answers", "preds"):
                shutil.copytree(world.root / name, scratch)
                publish(scratch, out)
                time.sleep(_PAUSE_SECONDS)
    finally:
        os._exit(1)

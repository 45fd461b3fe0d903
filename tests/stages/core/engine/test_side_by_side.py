"""Runs beside other runs: one writer at a time, and readers that see one artifact, whole."""

from __future__ import annotations

import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from killing import run_in_child
from tiny_world import Job, TinyWorld, snapshot, tgl

from schemas.directories import locked, publish
from schemas.errors import CorruptInput, OutputBlocked, TglError
from schemas.layouts import SCORES_TABLE
from stages.score import stage as score_stage

_READS = 12
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

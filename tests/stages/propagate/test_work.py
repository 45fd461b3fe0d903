"""The videos of a run on several devices: equal results, lost workers, finished sentences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from killed_work import Recorder, killed_at_first, killed_at_last, mark_of

from schemas.errors import LostWorker
from schemas.layouts import PROPAGATION_TABLE
from schemas.receipts import read_receipt
from stages.core.engine.execute import Outcome, execute
from stages.core.engine.progress import SilentProgress
from stages.core.engine.runtime import Runtime
from stages.propagate import stage, work
from stages.propagate.config import PropagateConfig, PropagateInputs
from stages.propagate.stage import STAGE

CONFIG = PropagateConfig(tracks="off", moments="annotated", expressions_per_batch=1)


def propagate(
    inputs: PropagateInputs, out: Path, progress: SilentProgress | None = None, **runtime: Any
) -> Outcome:
    """Run the stage through the engine with one worker."""
    given = Runtime(workers=1, device="cpu", **runtime)
    progress = progress or SilentProgress()
    return execute(STAGE, CONFIG, inputs, out, runtime=given, progress=progress)


def content(folder: Path) -> dict[str, bytes]:
    """Every mask and the table."""
    files = [*folder.rglob("*.png"), folder / PROPAGATION_TABLE]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def alone(made_world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process makes."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("alone") / "out"
    inputs = PropagateInputs(*(made_world / name for name in ("index", "text", "checkpoint")))
    propagate(inputs, out)
    return content(out)


def check_killed(world: Any, out: Path, outcome: Outcome) -> None:
    """The run went on after a worker was killed that had just finished a sentence."""
    assert mark_of(out).exists()
    assert outcome.failures == {}
    assert outcome.counts["expressions finished by lost workers"] == 1
    routed = [count for name, count in outcome.counts.items() if name.startswith("routed by ")]
    assert sum(routed) == len(world.sentences) - 1
    receipt = read_receipt(out)
    assert receipt is not None
    assert receipt.counts["masks"] == sum(world.lengths[video] for video, _ in world.sentences)


def test_two_processes_of_which_one_is_killed_make_what_one_makes(
    world: Any, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a network, which would take seconds to load; see the next test."""
    propagate(world.inputs, tmp_path / "alone")
    monkeypatch.setattr(stage, "segment_video", killed_at_last)
    progress = SilentProgress()
    outcome = propagate(world.inputs, tmp_path / "out", progress, devices="meta,meta")
    assert content(tmp_path / "out") == content(tmp_path / "alone")
    assert len(set(content(tmp_path / "out").values())) > 1
    check_killed(world, tmp_path / "out", outcome)
    assert [line.split(" (")[0] for line in progress.warnings] == ["a worker process died"]


@pytest.mark.slow
def test_two_processes_with_a_network_of_which_one_is_killed(
    world: Any, alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.core.engine.workers.devices.usable_cores", lambda: 2)
    monkeypatch.setattr(stage, "segment_video", killed_at_first)
    outcome = propagate(world.inputs, tmp_path / "out", devices="cpu,cpu")
    assert content(tmp_path / "out") == alone
    check_killed(world, tmp_path / "out", outcome)


@pytest.mark.slow
def test_a_cluster_of_which_a_worker_is_killed_makes_what_one_process_makes(
    world: Any, alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(stage, "segment_video", killed_at_first)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        outcome = propagate(world.inputs, tmp_path / "out", scheduler=cluster.scheduler_address)
    assert content(tmp_path / "out") == alone
    check_killed(world, tmp_path / "out", outcome)


def test_a_cluster_makes_what_one_process_makes(
    world: Any, alone: dict[str, bytes], scheduler: str, tmp_path: Path
) -> None:
    outcome = propagate(world.inputs, tmp_path / "out", scheduler=scheduler)
    assert content(tmp_path / "out") == alone
    assert outcome.counts["videos"] == 3


def test_a_video_that_kills_its_workers_fails_alone(
    world: Any, alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its finished sentences are removed; the failure names the video."""
    original = stage.map_on_devices

    def lost(*given: Any, **more: Any) -> Iterator[Any]:
        for done, result in original(*given, **more):
            own = done.job.video.video_id == "b"
            yield done, LostWorker("a worker process died at it twice") if own else result

    monkeypatch.setattr(stage, "map_on_devices", lost)
    outcome = propagate(world.inputs, tmp_path / "out")
    assert outcome.failures == {"b": "video b: a worker process died at it twice"}
    found = content(tmp_path / "out")
    assert {name.split("/")[0] for name in found} == {"a", "c", PROPAGATION_TABLE}
    monkeypatch.setattr(stage, "map_on_devices", original)
    outcome = propagate(world.inputs, tmp_path / "out")
    assert outcome.counts["expressions finished before"] == 4
    assert content(tmp_path / "out") == alone


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Stands for the network."""
    made = Recorder()
    monkeypatch.setattr(work, "_open", lambda setup, device: made)
    return made


def test_the_longest_video_comes_first(
    world: Any, tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan_jobs = stage.plan_jobs
    monkeypatch.setattr(stage, "plan_jobs", lambda *given: plan_jobs(*given)[::-1])
    outcome = propagate(world.inputs, tmp_path / "out")
    assert recorder.log == list(world.sentences)
    assert outcome.counts["routed by all"] == len(recorder.log)  # of all videos together


def test_finished_sentences_are_not_recomputed(
    world: Any, tmp_path: Path, recorder: Recorder
) -> None:
    propagate(world.inputs, tmp_path / "out")
    assert recorder.log == list(world.sentences)
    (tmp_path / "out" / "a" / "1" / "00003.png").write_bytes(b"damaged")
    recorder.log.clear()
    outcome = propagate(world.inputs, tmp_path / "out")
    assert recorder.log == [("a", "1")]
    assert outcome.counts["videos finished before"] == 2
    assert outcome.counts["expressions finished before"] == 4

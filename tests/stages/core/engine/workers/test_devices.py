"""map_on_devices: here, in one process per device, and on a Dask cluster."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from schemas.errors import ConfigError, CorruptInput
from stages.core.engine.progress import SilentProgress, SilentTask
from stages.core.engine.runtime import Runtime
from stages.core.engine.workers.devices import (
    DeviceWorker,
    device_names,
    map_on_devices,
    precision_of,
    settled,
    threads_per_device,
)


class Bar(SilentTask):
    def __init__(self) -> None:
        self.steps: list[int] = []
        self.totals: list[int] = []

    def expect(self, total: int) -> None:
        self.totals.append(total)

    def advance(self, n: int = 1, **figures: float | str) -> None:
        self.steps.append(n)


def on_devices(
    function: Any, jobs: Iterable[Any], runtime: Runtime, task: SilentTask, **more: Any
) -> Iterator[tuple[Any, Any]]:
    """`map_on_devices` without anybody who is told of workers that died."""
    progress = SilentProgress()
    return map_on_devices(function, jobs, runtime=runtime, progress=progress, task=task, **more)


def work(job: int, worker: DeviceWorker) -> tuple[int, str, int, list[int]]:
    """Double a job; tell the process, its device, and the jobs that used what it keeps."""
    if job == 3:
        raise CorruptInput("is three", where="job")
    network = worker.keep("network", None, list)
    network.append(job)
    worker.advance(2)
    return 2 * job, worker.device, os.getpid(), list(network)


def test_one_device_works_here_and_shows_what_a_job_reports() -> None:
    bar = Bar()
    found = dict(on_devices(work, range(5), Runtime(device="cpu"), bar, units=lambda _: 5))
    assert isinstance(found.pop(3), CorruptInput)
    assert [result[:3] for result in found.values()] == [
        (2 * job, "cpu", os.getpid()) for job in (0, 1, 2, 4)
    ]
    assert found[4][3] == [0, 1, 2, 4]
    assert bar.steps == [2, 3, 2, 3, 2, 3, 5, 2, 3]


def corrected(job: int, worker: DeviceWorker) -> None:
    """Each job was thought to have five units."""
    worker.advance(1)
    worker.expect(job)
    worker.advance(2)


def test_a_job_corrects_what_is_left_of_it() -> None:
    bar = Bar()
    runtime = Runtime(device="cpu")
    list(on_devices(corrected, [4, 9, 0], runtime, bar, units=lambda _: 5))
    assert bar.steps == [1, 2] * 3
    # 4 instead of 5, in fact 2; 9 and in fact 2; none and in fact 2.
    assert bar.totals == [15, 13, 18, 11, 7, 9]
    assert sum(bar.steps) == bar.totals[-1]


def test_two_devices_are_two_processes() -> None:
    bar = Bar()
    runtime = Runtime(devices="cpu, meta")
    found = dict(on_devices(work, range(20), runtime, bar))
    assert isinstance(found.pop(3), CorruptInput)
    assert {job: result[0] for job, result in found.items()} == {
        job: 2 * job for job in range(20) if job != 3
    }
    devices = {result[2]: result[1] for result in found.values()}
    assert os.getpid() not in devices
    assert len(set(devices.values())) == len(devices)
    assert set(devices.values()) <= {"cpu", "meta"}
    # Job 3 fails at once, which ends its only unit; the others report two of their one.
    assert sum(bar.steps) == bar.totals[-1] == 19 * 2 + 1


def step_by_step(job: tuple[int, str], worker: DeviceWorker) -> int:
    """Four steps with a rest; job 1 kills its first worker after two of them, in the third rest."""
    number, folder = job
    died = Path(folder) / "died"
    for step in range(4):
        if number == 1 and step == 3 and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        worker.advance(1)
        time.sleep(0.12)
    return number


def test_steps_of_other_processes_are_shown_and_those_of_a_lost_one_come_again(
    tmp_path: Path,
) -> None:
    bar, progress = Bar(), SilentProgress()
    runtime = Runtime(devices="meta,meta")
    jobs = [(number, str(tmp_path)) for number in range(2)]
    found = map_on_devices(
        step_by_step, jobs, runtime=runtime, progress=progress, task=bar, units=lambda _: 4
    )
    assert {job[0]: result for job, result in found} == {0: 0, 1: 1}
    assert len(bar.steps) > 8  # and not one per job
    assert bar.totals[0] == 8 + 3  # three steps of the lost worker were seen, and come again
    assert sum(bar.steps) == bar.totals[-1] == 11
    assert progress.warnings == [
        "a worker process died (SIGKILL, most likely for lack of memory); its work is tried again "
        "at the end"
    ]


def test_one_object_of_each_name_is_kept() -> None:
    worker = DeviceWorker("cpu")
    first = worker.keep("network", 1, list)
    assert worker.keep("network", 1, list) is first
    assert worker.keep("texts", 1, dict) == {}
    other = worker.keep("network", 2, list)
    assert other is not first
    assert worker.keep("network", 1, list) is not first


def test_a_cluster_works_on_the_device_of_its_own_machine() -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        runtime = Runtime(scheduler=cluster.scheduler_address)
        found = dict(on_devices(work, range(4), runtime, SilentTask()))
    assert isinstance(found.pop(3), CorruptInput)
    assert [result[:2] for result in found.values()] == [(2 * job, "auto") for job in range(3)]


@pytest.mark.parametrize(
    ("devices", "message"), [("cuda:0,,cuda:1", "has an empty name"), ("", "has an empty name")]
)
def test_devices_that_cannot_be_read(devices: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        device_names(Runtime(devices=devices))


def test_numbers_are_gpus() -> None:
    assert device_names(Runtime(devices="0, 3")) == ["cuda:0", "cuda:3"]
    assert device_names(Runtime(devices="cpu,mps")) == ["cpu", "mps"]


def test_a_gpu_that_is_not_there_is_one_line() -> None:
    runtime = Runtime(devices="91,92")
    with pytest.raises(ConfigError, match="--devices: no GPU 92, this machine has"):
        list(on_devices(work, range(3), runtime, SilentTask()))


def test_devices_and_a_scheduler_exclude_each_other() -> None:
    runtime = Runtime(devices="cpu,cpu", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(ConfigError, match="--devices: each worker of a cluster uses its own"):
        list(on_devices(work, range(3), runtime, SilentTask()))


@pytest.mark.parametrize(("workers", "threads"), [(8, 4), (1, 1), (5, 2)])
def test_devices_share_the_threads(workers: int, threads: int) -> None:
    assert threads_per_device(Runtime(workers=workers, devices="0,1")) == threads
    assert threads_per_device(Runtime(workers=workers)) == workers


def test_all_needs_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(ConfigError, match="has no GPU"):
        device_names(Runtime(devices="all"))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert device_names(Runtime(devices="all")) == ["cuda:0", "cuda:1"]


@pytest.fixture(params=[True, False])
def has_bf16(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A machine with a GPU that computes in bfloat16, or does not."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: request.param)
    return bool(request.param)


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:1"])
def test_gpus_with_bfloat16_compute_in_it(has_bf16: bool, device: str) -> None:
    wanted = "bf16" if has_bf16 else "fp32"
    assert precision_of(device) == wanted
    assert settled(Runtime(device=device)).precision == wanted
    assert settled(Runtime(devices=f"{device},{device}")).precision == wanted


@pytest.mark.usefixtures("has_bf16")
def test_other_devices_and_explicit_wishes_stay() -> None:
    assert precision_of("cpu") == precision_of("mps") == "fp32"
    assert settled(Runtime(device="cpu")).precision == "fp32"
    assert settled(Runtime(device="cpu", precision="bf16")).precision == "bf16"
    assert settled(Runtime(device="cuda", precision="fp32")).precision == "fp32"


def test_without_a_gpu_auto_is_exact() -> None:
    assert precision_of("auto") == "fp32"


def test_machines_of_a_cluster_decide_for_themselves() -> None:
    assert settled(Runtime(scheduler="tcp://nowhere:1")).precision == "auto"
